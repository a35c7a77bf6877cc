"""Weights kept beside the trained ones: the kind of regularizer that averages."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

from torch import Tensor


class Moment(NamedTuple):
    """Where in the training an optimiser step was."""

    step: int  # its number, from 0
    steps: int  # of the whole training
    steps_per_epoch: int

    @property
    def t(self) -> float:
        """Progress of the training after the step, in (0, 1]."""
        return (self.step + 1) / self.steps

    @property
    def epoch_ended(self) -> bool:
        """Whether it was the last of an epoch."""
        return (self.step + 1) % self.steps_per_epoch == 0


class Average(ABC):
    """Regularizer that keeps other weights beside the trained ones; those are evaluated.

    All state is in the dict of `begin`. With lanes its tensors have the leading axis that the weights have, but for
    0-dim tensors, which all lanes share.
    """

    reestimate: bool = False  # the running statistics in the state are estimated anew before each evaluation

    @abstractmethod
    def begin(self, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        """The state at the start, from the weights (parameters and buffers, detached)."""

    @abstractmethod
    def update(self, state: dict[str, Tensor], weights: dict[str, Tensor], moment: Moment) -> None:
        """After an optimiser step: change the state in place; `weights` are the live tensors, to write in as well."""

    @abstractmethod
    def weights(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """The weights to evaluate, by the same names as in `begin`."""

    def check(self, steps: int, steps_per_epoch: int) -> list[str]:
        """What of it has no time to act in a training of so many steps, as "argument: what, and the way out" each.

        Raises:
            ValueError: likewise, where it never acts at all.
        """
        return []
