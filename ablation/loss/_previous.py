"""The weights as they were at the end of the previous epoch."""

from __future__ import annotations

import torch

from ablation.average import Average, Moment
from ablation.types import Tensors


class Previous(Average):
    """The state is a copy of the weights under their own names; in the first epoch, of the initial ones."""

    def begin(self, weights: Tensors) -> Tensors:
        """A copy."""
        return {name: w.detach().clone() for name, w in weights.items()}

    @torch.no_grad()
    def update(self, state: Tensors, weights: Tensors, moment: Moment) -> None:
        """Copies the weights at the end of an epoch."""
        if moment.epoch_ended:
            torch._foreach_copy_(list(state.values()), [weights[name] for name in state])

    def weights(self, state: Tensors) -> Tensors:
        """The state itself."""
        return state

    def check(self, steps: int, steps_per_epoch: int) -> list[str]:
        """A single epoch has none before it."""
        if steps > steps_per_epoch:
            return []
        raise ValueError(
            "teacher: epoch is the previous epoch's network, and a training of one has none; give epochs=2"
        )
