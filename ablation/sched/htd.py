"""Hyperbolic tangent decay."""

from __future__ import annotations

import math

from ablation.sched._warmup import warmed
from ablation.types import Schedule


def htd(
    epochs: int,
    lr: float,
    lower: float = -6.0,
    upper: float = 3.0,
    eta: float = 0.0,
    warmup: float = 0.0,
    warmup_kind: str = "linear",
    warmup_start: float = 0.0,
    warmup_per: str = "iteration",
) -> dict[str, Schedule]:
    """The learning rate falls as a hyperbolic tangent, longer high than a cosine (Hsueh et al. 2018, 1806.01593).

    lr(e) = eta + (lr - eta) (1 - tanh(L + (U - L) (e - W)/(T - W)))/2, e in epochs, W the warm-up, T epochs, L = lower,
    U = upper. It ends a little above eta: with U = 3 by 0.25 % of lr - eta. L = -6, U = 3 are the paper's for CIFAR.

    Raises:
        ValueError: an argument is out of range.
    """

    def at(share: float) -> float:
        return eta + (lr - eta) * (1 - math.tanh(lower + (upper - lower) * share)) / 2

    def after(epoch: float) -> float:
        return at((epoch - warmup) / (epochs - warmup))

    schedules = warmed(after, epochs, lr, warmup, warmup_kind, warmup_start, warmup_per, first=at(0))
    if not -math.inf < lower < upper < math.inf:
        raise ValueError(f"lower: {lower} is not below upper, {upper}; the paper has -6 and 3")
    if not 0 <= eta <= lr:
        raise ValueError(f"eta: {eta} is not between 0 and the learning rate {lr}; it is the final rate, not a factor")
    return schedules
