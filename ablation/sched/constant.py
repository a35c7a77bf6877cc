"""Constant learning rate."""

from __future__ import annotations

from ablation.sched._warmup import warmed
from ablation.types import Schedule


def constant(
    epochs: int,
    lr: float,
    warmup: float = 0.0,
    warmup_kind: str = "linear",
    warmup_start: float = 0.0,
    warmup_per: str = "iteration",
) -> dict[str, Schedule]:
    """The optimiser's learning rate throughout, once warm: the baseline of every other schedule.

    Raises:
        ValueError: an argument is out of range.
    """
    return warmed(lambda epoch: lr, epochs, lr, warmup, warmup_kind, warmup_start, warmup_per)
