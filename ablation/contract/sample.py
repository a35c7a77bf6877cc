"""What parts are tried on: eight images of noise, and a network of four layers, also as the training loop sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ablation.key import Key
from ablation.loss.ce import cross_entropy
from ablation.state import kinds
from ablation.types import Batch, Data, Model, Step, Tensors, Weights

N = 8  # images
KEPT = 1024  # configurations of which it is remembered that they are sound
PROGRESS = (0.37, 0.11, 0.62, 0.93)  # of the training, at which augmentations are tried
_NOMINAL = {"classes": 10, "channels": 3, "size": 32}
_FIXED = ("digits", "cifar10", "cifar100")  # data sets whose images are of the nominal shape


@dataclass(frozen=True)
class Shape:
    """Of a data set's images."""

    classes: int
    channels: int
    height: int
    width: int
    known: bool  # whether it is the data set's own, so that an exception condemns whoever raises it

    @classmethod
    def of(cls, data: Data) -> Shape:
        """That of the images which are trained on."""
        _, height, width, channels = data.train.x.shape
        return cls(len(data.classes), channels, height, width, known=True)

    @classmethod
    def likely(cls, node: Mapping[str, Any]) -> Shape:
        """By the configuration of a data set that is not loaded."""
        name = str(node["_target_"]).partition("ablation.data.")[2].partition(".")[0]
        size = node.get("size") or _NOMINAL["size"]
        return cls(_NOMINAL["classes"], _NOMINAL["channels"], size, size, name in _FIXED or bool(node.get("size")))

    def raw(self) -> Tensor:
        """Images uint8 (N, H, W, C): noise, every pixel another, from black to white."""
        noise = Key.root(0).fold("contract").uniform(N, self.height, self.width, self.channels)
        return (noise * 256).to(torch.uint8)

    def batch(self, copies: int = 1) -> Batch:
        """The same as a batch, of as many classes as there are."""
        x = self.raw().permute(0, 3, 1, 2).to(torch.float32).div_(255)
        y = torch.eye(self.classes)[torch.arange(N) % self.classes]
        x, y = torch.cat([x] * copies), torch.cat([y] * copies)
        return Batch(x, y, torch.tensor(PROGRESS[0]), torch.full((self.channels,), 0.5))


class StandIn(Model):
    """A small network in place of the configured one, with a layer of each usual kind."""

    def __init__(self, classes: int, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 8, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.head = nn.Linear(8, classes)

    def features(self, x: Tensor) -> Tensor:
        """Images (N, C, H, W) -> (N, 8)."""
        return torch.relu(self.norm(self.conv(x))).mean((2, 3))


def stand_in(shape: Shape) -> StandIn:
    """One whose weights are always the same."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        return StandIn(shape.classes, shape.channels)


def key(number: int = 0) -> Key:
    """The key that parts are tried with."""
    return Key.root(0).fold("contract").fold(number)


class Network:
    """The stand-in as the training sees a network: weights and a fill."""

    def __init__(self, shape: Shape) -> None:
        self._model, self._batch = stand_in(shape), shape.batch()
        params: Tensors = {f"model.{name}": p for name, p in self._model.named_parameters()}
        buffers = {f"model.{name}": b for name, b in self._model.named_buffers()}
        self.weights = Weights(params, buffers, {f"model.{n}": kind for n, kind in kinds(self._model).items()})

    def fill(self) -> Step:
        """Zero the gradients, forward, backward; what library layers draw is the same each time."""
        torch.default_generator.manual_seed(1)
        for p in self.weights.params.values():
            p.grad = None
        logits = self._model((self._batch.x - 0.5) / 0.25)
        loss = cross_entropy(logits, self._batch.y)
        loss.backward()  # type: ignore[no-untyped-call]
        return Step(loss.detach(), (logits.detach().argmax(1) == self._batch.y.argmax(1)).sum().float())

    def copies(self) -> Tensors:
        """Of all weights, as they are now."""
        return {name: tensor.clone() for name, tensor in self.weights.all().items()}
