"""The one type of each kind. Read this first.

Shapes: N images in a batch, C channels, H x W pixels, K classes, D features. One trial is one seed; with `fuse`
several seeds ("lanes") are trained at once under `torch.vmap`, and every tensor below is then one lane's.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ablation.key import Key

Tensors = dict[str, Tensor]


class Batch(NamedTuple):
    """What an augmentation sees and returns (`batch._replace(x=...)`)."""

    x: Tensor  # (N, C, H, W) float32 in [0, 1], channels-last in memory
    y: Tensor  # (N, K) float32, rows sum to one: targets are always soft
    t: Tensor  # () float32, progress of the training in [0, 1)
    mean: Tensor  # (C,) float32, the data set's mean: what an erased pixel is filled with to become 0 when normalised


class Model(nn.Module, ABC):
    """A classifier: `features` then `head`. Factories take classes, channels, size; with blocks `join`, `drop`."""

    head: nn.Module  # (N, D) -> (N, K)

    @abstractmethod
    def features(self, x: Tensor) -> Tensor:
        """Normalised images (N, C, H, W) -> pooled features (N, D)."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalised images (N, C, H, W) -> logits (N, K)."""
        out: Tensor = self.head(self.features(x))
        return out


class Pass(NamedTuple):
    """One forward pass, as a loss term sees it."""

    features: Tensor  # (N, D)
    logits: Tensor  # (N, K)
    batch: Batch  # after augmentation
    images: Tensor  # (N, C, H, W) batch.x normalised: what the model saw
    model: Model
    key: Key


class Noisy(nn.Module):
    """A layer that draws random numbers: its key is a buffer which the learner fills anew each step."""

    word: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("word", torch.zeros((), dtype=torch.int64), persistent=False)

    @property
    def key(self) -> Key:
        """This layer's key for this step."""
        return Key(self.word)


View = Callable[[Tensor, Key], Tensor]  # uint8 (N, H, W, C) -> uint8 (N, H', W', C): the standard crop and flip
Aug = Callable[[Batch, Key], Batch]
Term = Callable[[Pass], Tensor]  # -> () float32
Init = Callable[[nn.Module, Key], None]
Schedule = Callable[[float], float]  # progress t in [0, 1) -> multiplier of the optimiser's field
Join = Callable[[int, int], nn.Module]  # (block l from 1, blocks L) -> module(shortcut, *branches) -> Tensor
Drop = Callable[[], nn.Module]  # -> module(x) -> Tensor of the same shape


@dataclass(frozen=True)
class Split:
    """Images and labels."""

    x: Tensor  # (n, H, W, C) uint8
    y: Tensor  # (n,) int64

    def __len__(self) -> int:
        return len(self.y)


@dataclass(frozen=True)
class Data:
    """A data set: which images, how they are cropped, and how they are normalised."""

    name: str
    classes: tuple[str, ...]
    train: Split
    test: Split
    val: Split | None
    view: View
    mean: Tensor  # (C,) float32 in [0, 1]
    std: Tensor  # (C,) float32
    mapped: bool = False  # the images are memory-mapped files, too many to be held in memory
    about: dict[str, str] = field(default_factory=dict)  # which images, for people: stands beside every result


class Step(NamedTuple):
    """What one forward pass reports, on the device."""

    loss: Tensor  # () float32, the sum of the terms
    hits: Tensor  # () float32, target mass on the predicted class, summed over the batch (mixed labels: lam-weighted)


Fill = Callable[[], Step]  # zero the gradients, forward, backward


@dataclass(frozen=True)
class Weights:
    """The tensors being trained. With lanes, each has a leading axis of that size; tricks use `each`."""

    params: Tensors
    buffers: Tensors
    kinds: Mapping[str, str]  # parameter name -> "weight", "bias" or "norm"
    lanes: int | None = None

    def each(self, function: Callable[..., Tensors], *args: Tensors) -> Tensors:
        """Apply a function of one lane's tensors to every lane."""
        return function(*args) if self.lanes is None else torch.vmap(function)(*args)

    def grads(self) -> Tensors:
        """The gradients by parameter name; parameters without one are left out."""
        return {name: p.grad for name, p in self.params.items() if p.grad is not None}

    def all(self) -> Tensors:
        """Parameters (detached) and buffers under their names."""
        return {**{name: p.detach() for name, p in self.params.items()}, **self.buffers}


@dataclass(frozen=True)
class Taught:
    """A loss term that needs a teacher: it is given the logits (N, K) that the teacher has for the very same images."""

    term: Callable[[Pass, Tensor], Tensor]  # -> () float32


@dataclass(frozen=True)
class Noise:
    """Regularizer in the model's blocks: how branches join the shortcut, and what drops before the last conv."""

    join: Join | None = None
    drop: Drop | None = None


@dataclass(frozen=True)
class Penalty:
    """Regularizer that adds a loss term, made for the built model; a term that is a module brings parameters."""

    attach: Callable[[Model], Term]


@dataclass(frozen=True)
class Grad:
    """Regularizer around "zero, forward, backward": takes a fill, returns a fill."""

    wrap: Callable[[Fill, Weights], Fill]


@dataclass(frozen=True)
class Wrap:
    """Regularizer that changes the model once it is built, in place or by returning another."""

    apply: Callable[[Model], Model]


class Average(ABC):
    """Regularizer that keeps other weights beside the trained ones; those are evaluated.

    All state is in the dict of `begin`. With lanes its tensors have the leading axis that the weights have, but for
    0-dim tensors, which all lanes share.
    """

    @abstractmethod
    def begin(self, weights: Tensors) -> Tensors:
        """The state at the start, from the weights (parameters and buffers, detached)."""

    @abstractmethod
    def update(self, state: Tensors, weights: Tensors, step: int) -> None:
        """After optimiser step number `step` (from 0): change the state in place; `weights` are the live tensors."""

    @abstractmethod
    def weights(self, state: Tensors) -> Tensors:
        """The weights to evaluate, by the same names as in `begin`."""


Regularizer = Noise | Penalty | Grad | Wrap | Average
# Takes `weights: Weights`. With lanes every tensor is stacked, so an optimiser whose update is not elementwise (a norm
# over a tensor, say) has to be told of the lanes.
Optim = Callable[..., torch.optim.Optimizer]
