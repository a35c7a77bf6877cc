"""Cosine annealing with warm restarts."""

from __future__ import annotations

import math
from bisect import bisect_right

from ablation.build import near
from ablation.sched._steps import Uncounted
from ablation.sched._warmup import warmed
from ablation.types import Schedule

UNITS = ("epoch", "iteration")
_LEAST = {"epoch": 0.01, "iteration": 1.0}  # lengths of a cycle
# step/steps * epochs may fall short of a whole epoch by rounding, and so of a step; a step is never this short.
_ROUNDING = 1e-9


def sgdr(
    epochs: int,
    lr: float,
    len: float = 10,
    mult: float = 1.0,
    decay: float = 1.0,
    eta: float = 0.0,
    per: str = "iteration",
    unit: str = "epoch",
    warmup: float = 0.0,
    warmup_kind: str = "linear",
    warmup_start: float = 0.0,
    warmup_per: str = "iteration",
    steps_per_epoch: int | None = None,
) -> dict[str, Schedule]:
    """Cosines from a peak to eta, one after the other (SGDR, Loshchilov & Hutter 2016, 1608.03983).

    Cycle i from 0, counted after the warm-up, has the length l = len mult^i and the peak p = lr decay^i; with c since
    its beginning, lr = eta + (p - eta) (1 + cos(pi c/l))/2. With len 10 and mult 2 cycles end 10, 30, 70, 150, 310
    epochs after the warm-up: choose `epochs` so that the training ends with one. `decay` is no part of the paper; a
    peak never falls below eta.

    Args:
        epochs: Of the training, the warm-up included.
        lr: The first peak.
        len: Of the first cycle, in `unit`.
        mult: Of its length, from each cycle to the next; whole or not.
        decay: Of the peak, from each cycle to the next.
        eta: The lowest rate.
        per: "iteration": the rate changes at every step, as in the paper; "epoch": it is held within an epoch.
        unit: What `len` is in, "epoch" or "iteration" (optimiser steps).
        warmup: Epochs.
        warmup_kind: "linear" or "exponential".
        warmup_start: The learning rate at step 0.
        warmup_per: "iteration", or "epoch": held within an epoch of the warm-up.
        steps_per_epoch: None if not known; then a schedule in iterations raises Uncounted when it is asked.

    Raises:
        ValueError: an argument is out of range.
    """
    _check(len, mult, decay, per, unit)
    scale = 1.0 if unit == "epoch" else None if steps_per_epoch is None else float(steps_per_epoch)
    starts = [] if scale is None else _starts(len, mult, (epochs - warmup) * scale)

    def after(epoch: float) -> float:
        if scale is None:
            raise Uncounted("sched.unit=iteration: it is not known yet how many steps an epoch has")
        since = _held(epoch, warmup) if per == "epoch" else epoch - warmup
        i = bisect_right(starts, (since + _ROUNDING) * scale) - 1
        peak, c = max(eta, lr * decay**i), max(0.0, since * scale - starts[i])
        return eta + (peak - eta) * (1 + math.cos(math.pi * c / (len * mult**i))) / 2

    schedules = warmed(after, epochs, lr, warmup, warmup_kind, warmup_start, warmup_per)
    if not 0 <= eta <= lr:
        raise ValueError(f"eta: {eta} is not between 0 and the learning rate {lr}; it is the final rate, not a factor")
    return schedules


def _starts(first: float, mult: float, total: float) -> list[float]:
    """Where cycles begin, as far as the training goes."""
    starts, length = [0.0], first
    while starts[-1] + length < total:
        starts.append(starts[-1] + length)
        length *= mult
    return starts


def _held(epoch: float, warmup: float) -> float:
    """Epochs since the warm-up at the beginning of this epoch."""
    return max(0.0, math.floor(epoch + _ROUNDING) - warmup)


def _check(length: float, mult: float, decay: float, per: str, unit: str) -> None:
    for name, value in (("per", per), ("unit", unit)):
        if value not in UNITS:
            raise ValueError(f"{name}: there is no {value!r}; {near(value, UNITS)}")
    if not length >= _LEAST[unit]:
        raise ValueError(
            f"len: {length} is less than {_LEAST[unit]:g}; it is the length of the first cycle, in {unit}s"
        )
    if not mult >= 1:
        raise ValueError(f"mult: {mult} is less than 1; cycles cannot get shorter")
    if not 0 < decay <= 1:
        raise ValueError(f"decay: {decay} is not above 0 and at most 1; it is the factor of each peak")
    if per == "epoch" and unit == "iteration":
        raise ValueError("per: epoch holds the rate, but unit=iteration counts cycles in steps; use per=iteration")
