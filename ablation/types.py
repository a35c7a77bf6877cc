"""The one type of each kind. Read this first.

Shapes: N images in a batch, C channels, H x W pixels, K classes, D features. One trial is one seed; with `fuse`
several seeds ("lanes") are trained at once under `torch.vmap`, and every tensor below is then one lane's.

What holds for every part, and is tried before a training (`ablation/contract`): it is a function of its arguments
alone. What it draws comes from its key, never from a global generator, so that the same key gives the same again; it
keeps nothing from call to call; it leaves what it is given as it was, but for what is said to be changed in place; and
it gives back tensors of the dtypes below, on the device of those it was given, without a gradient of their own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ablation.average import Average
from ablation.key import Key

Tensors = dict[str, Tensor]


class Batch(NamedTuple):
    """What an augmentation sees and returns (`batch._replace(x=...)`).

    Returned are as many rows or a multiple (all of copy 0, all of copy 1, ...), images of the same size, in each row of
    y the targets of the image in that row of x, and t and mean as they were.
    """

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
        return self.head(self.features(x))  # type: ignore[no-any-return]


class Pass(NamedTuple):
    """One forward pass, as a loss term sees it."""

    features: Tensor  # (N, D)
    logits: Tensor  # (N, K)
    batch: Batch  # after augmentation
    clean: Batch  # before it: the standard view alone
    images: Tensor  # (N, C, H, W) batch.x normalised: what the model saw
    model: Model  # called again, it draws the same noise
    again: Callable[[Tensor, Key], tuple[Tensor, Tensor]]  # a pass with other noise: images -> features and logits
    normalise: Callable[[Tensor], Tensor]  # what makes images of a batch's x
    key: Key


class Noisy(nn.Module):
    """A layer that draws random numbers, with a key which the learner gives it for each pass."""

    # The site of its key; None: its place in the model. Layers of one site draw the same, and the same as the
    # augmentation of that name; an option that brings both is refused under another name.
    site: str | None = None
    given: Key | None = None  # while the learner passes
    word: Tensor  # of the key that it draws with outside a learner

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("word", torch.zeros((), dtype=torch.int64), persistent=False)

    @property
    def key(self) -> Key:
        """This layer's key for this pass."""
        return Key(self.word) if self.given is None else self.given


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
    notes: tuple[str, ...] = ()  # what is odd about them, said before the training


class Step(NamedTuple):
    """What one forward pass reports, on the device."""

    loss: Tensor  # () float32, the sum of the terms
    hits: Tensor  # () float32, target mass on the predicted class, summed over the batch (mixed labels: lam-weighted)


Fill = Callable[[], Step]  # zero the gradients, forward, backward


@dataclass(frozen=True)
class Weights:
    """The tensors being trained. With lanes, each has a leading axis of that size, for optimisers too: use `each`."""

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
    """Regularizer around "zero, forward, backward": takes a fill, returns a fill.

    They are nested in their order, the first one innermost; but one that belongs to the `loss`, whose gradient it makes
    what it is meant to be, is inside all others, so that these change that gradient.
    """

    wrap: Callable[[Fill, Weights], Fill]
    loss: bool = False


@dataclass(frozen=True)
class Wrap:
    """Regularizer that changes the model once it is built, in place or by returning another."""

    apply: Callable[[Model], Model]


@dataclass(frozen=True)
class Repeat:
    """Each image enters the batch so often, each time with a view of its own: all of copy 0, all of copy 1, ..."""

    times: int


@dataclass(frozen=True)
class Team:
    """Regularizer that trains several models in place of one."""

    members: Callable[[dict[str, Any]], list[dict[str, Any]]]  # the model's configuration -> theirs
    combine: Callable[[list[Model]], Model]


@dataclass(frozen=True)
class Taught:
    """A loss term that needs a teacher: it is given the logits (N, K) that the teacher has for the very same images.

    With `relabel` it is asked before they are augmented; targets (N, K) made of its logits then replace the labels.
    """

    term: Callable[[Pass, Tensor], Tensor]  # -> () float32
    own: Average | None = None  # the teacher is the student, as averaged by this; None: the trial that `teacher` names
    relabel: Callable[[Tensor], Tensor] | None = None
    batch_statistics: bool = False  # a trained teacher's batch norms use the batch's statistics, not their running ones
