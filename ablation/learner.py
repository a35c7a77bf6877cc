"""The step as one module: raw batch and key in, loss and hits out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call

from ablation.key import Key
from ablation.precision import Precision
from ablation.types import Aug, Batch, Data, Model, Noisy, Pass, Step, Taught, Tensors, Term


@dataclass(frozen=True)
class Teacher:
    """A trained network whose answers a loss term learns from.

    No module, and so none of the learner's: its weights are neither trained nor saved nor counted.
    """

    model: Model  # in evaluation mode
    weights: Tensors  # its parameters and buffers; with lanes each has their leading axis: every seed has its own
    fingerprints: tuple[str, ...]  # of each lane's weights


class Learner(nn.Module):
    """Augments, runs the model, evaluates the loss terms: a pure function of its parameters, buffers and inputs."""

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        model: Model,
        data: Data,
        augs: Mapping[str, Aug],
        terms: Mapping[str, Term | Taught],
        precision: Precision,
        teacher: Teacher | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.view, self.augs, self.terms, self.precision = data.view, dict(augs), dict(terms), precision
        self.classes, self.teacher = len(data.classes), teacher
        self.term_modules = nn.ModuleDict({n: t for n, t in terms.items() if isinstance(t, nn.Module)})
        self.register_buffer("mean", data.mean.clone(), persistent=False)
        self.register_buffer("std", data.std.clone(), persistent=False)
        self.noisy = [path for path, module in self.named_modules() if isinstance(module, Noisy)]

    def forward(self, x: Tensor, y: Tensor, key: Key, t: Tensor, teaching: Tensors | None = None) -> Step:
        """One batch: x (N, H, W, C) uint8, y (N,) int64, t () progress in [0, 1); `teaching`: the teacher's weights."""
        batch = self.augment(x, y, key, t)
        with self.precision.autocast():
            images = self.normalise(batch.x)
            features = self.model.features(images)
            logits: Tensor = self.model.head(features)
            given = Pass(features, logits, batch, images, self.model, key)
            losses = [self._loss(term, given._replace(key=key.fold(n)), teaching) for n, term in self.terms.items()]
        predicted = one_hot(logits.detach().argmax(1), self.classes)
        return Step(torch.stack(losses).sum(), (predicted * batch.y).sum())

    def augment(self, x: Tensor, y: Tensor, key: Key, t: Tensor) -> Batch:
        """The batch that the model is given, not yet normalised; arguments as of `forward`."""
        batch = Batch(to_float(self.view(x, key.fold("view"))), one_hot(y, self.classes), t, self.mean)
        for name, aug in self.augs.items():
            batch = aug(batch, key.fold(name))
        return batch

    def _loss(self, term: Term | Taught, given: Pass, teaching: Tensors | None) -> Tensor:
        if not isinstance(term, Taught):
            return term(given).float()
        if self.teacher is None or teaching is None:
            raise ValueError("a term learns from a teacher, and there is none")
        with torch.no_grad():
            logits: Tensor = functional_call(self.teacher.model, teaching, (given.images,))
        return term.term(given, logits).float()

    def normalise(self, x: Tensor) -> Tensor:
        """Images in [0, 1] to zero mean and unit deviation per channel."""
        return (x - self.mean[:, None, None]) / self.std[:, None, None]

    def words(self, key: Key) -> Tensors:
        """The buffers that hold the keys of the layers that draw: each layer's place in the model is its site."""
        return {f"{path}.word": key.fold(path).word for path in self.noisy}


def to_float(x: Tensor) -> Tensor:
    """Images (N, H, W, C) uint8 -> (N, C, H, W) float32 in [0, 1], channels-last without a copy."""
    return x.permute(0, 3, 1, 2).to(torch.float32).div_(255)


def one_hot(y: Tensor, classes: int) -> Tensor:
    """Labels (N,) -> (N, K) float32; `F.one_hot` reads the labels on the host."""
    return (y[:, None] == torch.arange(classes, device=y.device)).to(torch.float32)
