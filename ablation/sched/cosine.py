"""Cosine annealing."""

from __future__ import annotations

import math

from ablation.build import near
from ablation.sched._warmup import warmed
from ablation.types import Schedule

SPANS = ("rest", "all")


def cosine(
    epochs: int,
    lr: float,
    eta: float = 0.0,
    warmup: float = 0.0,
    warmup_kind: str = "linear",
    warmup_start: float = 0.0,
    warmup_per: str = "iteration",
    over: str = "rest",
) -> dict[str, Schedule]:
    """Half a cosine from lr to eta over what the warm-up leaves (Loshchilov & Hutter 2016, 1608.03983).

    Without restarts: lr(e) = eta + (lr - eta) (1 + cos(pi (e - W)/(T - W)))/2, e in epochs, W the warm-up, T epochs.
    Changes at every step, as in He et al. 2018 (1812.01187); `sgdr` with one cycle does so once an epoch too.

    Option: with `over` "all" it is divided by T, not T - W, and so ends above eta: some code, that of the CIFAR tricks
    README among it, has a cosine as long as the training that begins after the warm-up.

    Raises:
        ValueError: an argument is out of range.
    """

    if over not in SPANS:
        raise ValueError(f"over: there is no {over!r}; {near(over, SPANS)}")
    span = epochs - warmup if over == "rest" else epochs

    def after(epoch: float) -> float:
        return eta + (lr - eta) * (1 + math.cos(math.pi * (epoch - warmup) / span)) / 2

    schedules = warmed(after, epochs, lr, warmup, warmup_kind, warmup_start, warmup_per)
    if not 0 <= eta <= lr:
        raise ValueError(f"eta: {eta} is not between 0 and the learning rate {lr}; it is the final rate, not a factor")
    return schedules
