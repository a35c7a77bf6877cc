"""Warm-up, in front of any schedule."""

from __future__ import annotations

import math
from collections.abc import Callable

from ablation.build import near
from ablation.types import Schedule

KINDS = ("linear", "exponential")
PERS = ("iteration", "epoch")
# step/steps * epochs may fall short of a whole epoch by rounding; a step is never this short.
_ROUNDING = 1e-9


def warmed(
    after: Callable[[float], float],
    epochs: int,
    lr: float,
    warmup: float,
    warmup_kind: str,
    warmup_start: float,
    warmup_per: str,
    first: float | None = None,
) -> dict[str, Schedule]:
    """The schedule of the field "lr": a warm-up from `warmup_start`, then `after`, epoch -> learning rate.

    With e in epochs from 0, W = warmup, s = warmup_start and b = the rate with which `after` begins (`first`, or lr),
    for e < W: linear, s + (b - s) e/W; exponential, s (b/s)^(e/W). Gradual warm-up: Goyal et al. 2017, 1706.02677.
    Changes at every step; at step 0 the rate is s itself. With `warmup_per` "epoch" e is whole, so that it changes once
    an epoch, as in much code, that of the lab notes among it.

    Raises:
        ValueError: an argument is out of range.
    """
    _check_rate(lr)
    top = lr if first is None else first
    _check(epochs, top, warmup, warmup_kind, warmup_start)
    if warmup_per not in PERS:
        raise ValueError(f"warmup_per: there is no {warmup_per!r}; {near(warmup_per, PERS)}")

    def schedule(t: float) -> float:
        epoch = t * epochs
        if epoch >= warmup:
            return after(epoch) / lr
        if warmup_per == "epoch":
            epoch = math.floor(epoch + _ROUNDING)
        if warmup_kind == "linear":
            return (warmup_start + (top - warmup_start) * epoch / warmup) / lr
        return float((warmup_start / top) ** (1 - epoch / warmup)) * (top / lr)

    return {"lr": schedule}


def _check_rate(lr: float) -> None:
    if not 0 < lr < float("inf"):
        raise ValueError(f"lr: {lr} is not a finite number above 0; set optim.lr")


def _check(epochs: int, top: float, warmup: float, warmup_kind: str, warmup_start: float) -> None:
    if warmup_kind not in KINDS:
        raise ValueError(f"warmup_kind: there is no {warmup_kind!r}; {near(warmup_kind, KINDS)}")
    if not warmup >= 0:
        raise ValueError(f"warmup: {warmup} is negative; give a number of epochs, or 0 for none")
    if warmup >= epochs:
        raise ValueError(f"warmup: {warmup} epochs leave nothing of the {epochs} trained; shorten it or raise epochs")
    if not 0 <= warmup_start <= top:
        raise ValueError(f"warmup_start: {warmup_start} is not between 0 and the learning rate {top} to which it rises")
    if warmup > 0 and warmup_kind == "exponential" and warmup_start == 0:
        raise ValueError("warmup_start: 0 never grows under an exponential warm-up; give a small rate such as 1e-5")
