"""The small network as the training loop sees one."""

from __future__ import annotations

import torch

from ablation.contract.sample import Shape, stand_in
from ablation.loss.ce import cross_entropy
from ablation.state import kinds
from ablation.types import Step, Tensors, Weights


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
