"""The step as one module: raw batch and key in, loss and hits out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call, replace_all_batch_norm_modules_

from ablation.constant import places
from ablation.key import Key
from ablation.machine.precision import Precision
from ablation.tricks import Tricks
from ablation.types import Batch, Data, Model, Noisy, Pass, Step, Taught, Tensors, Term


@dataclass(frozen=True)
class Teacher:
    """A trained network whose answers a loss term learns from.

    No module, and so none of the learner's: its weights are neither trained nor saved nor counted.
    """

    model: Model  # in evaluation mode
    weights: Tensors  # its parameters and buffers; with lanes each has their leading axis: every seed has its own
    fingerprints: tuple[str, ...]  # of each lane's weights; none of a student's own

    def used(self) -> Tensors:
        """The weights that the model has a place for: with the batch's own statistics, no running ones."""
        names = set(self.model.state_dict())
        return {name: w for name, w in self.weights.items() if name in names}


def own_teacher(model: Model, weights: Tensors) -> Teacher:
    """The student as its own teacher; `weights`, under the learner's names, are an average's own, ever up to date."""
    kept = {name.removeprefix("model."): w for name, w in weights.items() if name.startswith("model.")}
    return Teacher(deepcopy(model).requires_grad_(False).eval(), kept, ())


class Learner(nn.Module):
    """Augments, runs the model, evaluates the loss terms: a pure function of its parameters, buffers and inputs."""

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        model: Model,
        data: Data,
        tricks: Tricks,
        terms: Mapping[str, Term | Taught],
        precision: Precision,
        teacher: Teacher | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.view, self.augs, self.terms, self.precision = data.view, dict(tricks.augs), dict(terms), precision
        self.copies = math.prod(repeat.times for repeat in tricks.repeats.values())
        self.classes, self.teacher = len(data.classes), teacher
        self.taught = next((t for t in terms.values() if isinstance(t, Taught)), None)
        if self.taught and self.taught.batch_statistics and teacher:
            replace_all_batch_norm_modules_(teacher.model)
        self.term_modules = nn.ModuleDict({n: t for n, t in terms.items() if isinstance(t, nn.Module)})
        self.register_buffer("mean", data.mean.clone(), persistent=False)
        self.register_buffer("std", data.std.clone(), persistent=False)
        self.noisy = {path: m for path, m in self.named_modules() if isinstance(m, Noisy)}

    def forward(self, x: Tensor, y: Tensor, key: Key, t: Tensor, teaching: Tensors | None = None) -> Step:
        """One batch: x (N, H, W, C) uint8, y (N,) int64, t () progress in [0, 1); `teaching`: the teacher's weights."""
        clean, answer = self._relabelled(self.standard(x, y, key, t), teaching)
        batch = self.augment(clean, key)
        with self.precision.autocast():
            images = self.normalise(batch.x)
            with Drawing(self.keys(key)):
                features = self.model.features(images)
                logits: Tensor = self.model.head(features)
                given = Pass(features, logits, batch, clean, images, self.model, self._again, self.normalise, key)
                losses = [
                    self._loss(term, given._replace(key=key.fold(name)), answer, teaching)
                    for name, term in self.terms.items()
                ]
        predicted = one_hot(logits.detach().argmax(1), self.classes)
        hits = (predicted * batch.y).sum() * (len(x) / len(batch.y))  # of copies, an image counts as one
        return Step(losses[0] if len(losses) == 1 else torch.stack(losses).sum(), hits)

    def standard(self, x: Tensor, y: Tensor, key: Key, t: Tensor) -> Batch:
        """The batch in its standard view; arguments as of `forward`."""
        if self.copies > 1:
            x, y = torch.cat([x] * self.copies), torch.cat([y] * self.copies)
        return Batch(to_float(self.view(x, key.fold("view"))), one_hot(y, self.classes), t, self.mean)

    def augment(self, batch: Batch, key: Key) -> Batch:
        """The batch that the model is given, not yet normalised, from the standard one and the step's key."""
        for name, aug in self.augs.items():
            batch = aug(batch, key.fold(name))
        return batch

    def _relabelled(self, clean: Batch, teaching: Tensors | None) -> tuple[Batch, Tensor | None]:
        """With a teacher's targets, if the loss wants such, and the answer that they were made of."""
        if self.taught is None or self.taught.relabel is None:
            return clean, None
        with self.precision.autocast():
            answer = self._ask(self.normalise(clean.x), teaching)
        return clean._replace(y=self.taught.relabel(answer.float())), answer

    def _loss(self, term: Term | Taught, given: Pass, answer: Tensor | None, teaching: Tensors | None) -> Tensor:
        if not isinstance(term, Taught):
            return term(given).float()
        return term.term(given, self._ask(given.images, teaching) if answer is None else answer).float()

    def _ask(self, images: Tensor, teaching: Tensors | None) -> Tensor:
        if self.teacher is None or teaching is None:
            raise ValueError("a term learns from a teacher, and there is none")
        with torch.no_grad():
            logits: Tensor = functional_call(self.teacher.model, teaching, (images,))
        return logits

    def _again(self, images: Tensor, key: Key) -> tuple[Tensor, Tensor]:
        # Layers of a site draw what they drew: the targets were made with it.
        own = {layer: of for layer, of in self.keys(key, "model.").items() if layer.site is None}
        with Drawing(own):
            features = self.model.features(images)
            return features, self.model.head(features)

    def normalise(self, x: Tensor) -> Tensor:
        """Images in [0, 1] to zero mean and unit deviation per channel."""
        return (x - self.mean[:, None, None]) / self.std[:, None, None]

    def keys(self, key: Key, under: str = "") -> dict[Noisy, Key]:
        """The keys of the layers that draw, of those under a path."""
        return {m: key.fold(m.site or path) for path, m in self.noisy.items() if path.startswith(under)}


class Drawing:
    """Inside, layers draw with these keys, and afterwards with those that they had."""

    def __init__(self, keys: Mapping[Noisy, Key]) -> None:
        self.keys = keys

    def __enter__(self) -> None:
        self.before = [layer.given for layer in self.keys]
        for layer, key in self.keys.items():
            layer.given = key

    def __exit__(self, *_: object) -> None:
        for layer, key in zip(self.keys, self.before, strict=True):
            layer.given = key


def to_float(x: Tensor) -> Tensor:
    """Images (N, H, W, C) uint8 -> (N, C, H, W) float32 in [0, 1], channels-last without a copy."""
    return x.permute(0, 3, 1, 2).to(torch.float32).div_(255)


def one_hot(y: Tensor, classes: int) -> Tensor:
    """Labels (N,) -> (N, K) float32; `F.one_hot` reads the labels on the host."""
    return (y[:, None] == places(classes, y.device)).to(torch.float32)
