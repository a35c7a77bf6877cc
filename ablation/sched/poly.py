"""Polynomial decay."""

from __future__ import annotations

from ablation.sched._warmup import warmed
from ablation.types import Schedule


def poly(
    epochs: int,
    lr: float,
    power: float = 2.0,
    eta: float = 0.0,
    warmup: float = 0.0,
    warmup_kind: str = "linear",
    warmup_start: float = 0.0,
    warmup_per: str = "iteration",
) -> dict[str, Schedule]:
    """A power of what is left of the training: lr(e) = eta + (lr - eta) (1 - (e - W)/(T - W))^power.

    e in epochs, W the warm-up, T epochs. Power 2 as You et al. 2017 (1708.03888) trained with large batches; 0.9 is
    usual in segmentation (Chen et al. 2016, 1606.00915), 1 is the linear schedule.

    Raises:
        ValueError: an argument is out of range.
    """

    def after(epoch: float) -> float:
        left = max(0.0, 1 - (epoch - warmup) / (epochs - warmup))
        return float(eta + (lr - eta) * left**power)

    schedules = warmed(after, epochs, lr, warmup, warmup_kind, warmup_start, warmup_per)
    if not power > 0:
        raise ValueError(f"power: {power} is not above 0; 1 is a straight line")
    if not 0 <= eta <= lr:
        raise ValueError(f"eta: {eta} is not between 0 and the learning rate {lr}; it is the final rate, not a factor")
    return schedules
