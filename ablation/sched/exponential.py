"""Exponential decay."""

from __future__ import annotations

from ablation.sched._warmup import warmed
from ablation.types import Schedule


def exponential(
    epochs: int,
    lr: float,
    gamma: float = 0.95,
    warmup: float = 0.0,
    warmup_kind: str = "linear",
    warmup_start: float = 0.0,
    warmup_per: str = "iteration",
) -> dict[str, Schedule]:
    """The learning rate falls by the factor gamma an epoch: lr(e) = lr gamma^(e - W), e in epochs, W the warm-up.

    Changes at every step; torch's ExponentialLR does so once an epoch, and agrees at the beginning of each. Szegedy et
    al. 2015 (1512.00567) used 0.94 every two epochs.

    Raises:
        ValueError: an argument is out of range.
    """
    schedules = warmed(
        lambda epoch: float(lr * gamma ** (epoch - warmup)), epochs, lr, warmup, warmup_kind, warmup_start, warmup_per
    )
    if not 0 < gamma <= 1:
        raise ValueError(f"gamma: {gamma} is not above 0 and at most 1; it is the factor of an epoch")
    return schedules
