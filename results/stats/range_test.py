"""What a learning rate range test says: a rate to train with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
_WIDTH = 0.03  # of the steps: the standard deviation of the smoothing
_TOO_HIGH = 4.0  # times the lowest loss so far: not read from there on
_FALL = 0.05  # of the first loss, at least, or nothing was learned
_BUMP = 0.2  # of the fall: a rise on the way that is worth a remark
_FEWEST = 20  # steps
_LATE = 0.02  # of the steps: a lowest loss so near the end may not be the lowest


@dataclass(frozen=True)
class Reading:
    """A range test's curve, and what is read from it."""

    rates: Numbers  # of every step
    losses: Numbers  # nan where not finite
    smooth: Numbers  # of the first steps, as far as it is read
    steepest: float | None  # the rate at which the smoothed loss falls fastest below all before
    lowest: float | None  # the rate at which it is lowest
    trouble: str  # why there is no suggestion; empty if there is one
    remark: str = ""  # how far to trust it

    @property
    def suggestion(self) -> float | None:
        """A tenth of the rate of the lowest loss, one digit: a rate that is large and still far from too large."""
        return None if self.lowest is None else float(f"{self.lowest / 10:.0e}")


def read(rates: Sequence[float], losses: Sequence[float | None]) -> Reading:
    """Read the curve of a training whose learning rate rises from step to step.

    The loss is smoothed over the steps by a Gaussian, without delay, and read until it exceeds four times its lowest or
    is not finite.
    """
    x = np.array(rates, dtype=np.float64)
    y = np.array([math.nan if v is None else v for v in losses], dtype=np.float64)
    end, limit = _end(y)
    # What explodes counts as too high and no more, or the mean would feel it before it comes.
    smooth = _smoothed(np.minimum(y[:end], limit), max(1.0, _WIDTH * len(y))) if end else y[:0]
    trouble = _trouble(smooth, len(y))
    if trouble:
        return Reading(x, y, smooth, None, None, trouble)
    low = int(smooth.argmin())
    down = smooth[: low + 1]
    fresh = down <= np.minimum.accumulate(down)  # a fall back from a bump is no progress
    steep = int(np.where(fresh, np.gradient(down), np.inf).argmin())
    late = low >= (1 - _LATE) * len(y) - 1
    remark = "the loss still falls at the end; raise sched.end" if late else _bump(down, x)
    return Reading(x, y, smooth, float(x[steep]), float(x[low]), "", remark)


def _bump(down: Numbers, rates: Numbers) -> str:
    """A warning if the loss was clearly on its way up before it reached its lowest."""
    lows = np.minimum.accumulate(down)
    top = int((down - lows).argmax())
    if down[top] - lows[top] < _BUMP * (down[0] - down[-1]):
        return ""
    begun = rates[int(down[: top + 1].argmin())]
    between = f"between the learning rates {begun:.2g} and {rates[top]:.2g}"
    return f"the loss rose {between} before it fell again; seeds=3 takes the mean of three range tests"


def _end(losses: Numbers) -> tuple[int, float]:
    """How many losses to read, and what is too high. A mean of the last few decides: a single high one does not."""
    mean, lowest, weight = 0.0, math.inf, 0.0
    for i, loss in enumerate(losses):
        if not math.isfinite(loss):
            return i, _TOO_HIGH * lowest
        mean, weight = 0.7 * mean + 0.3 * loss, 0.7 * weight + 0.3
        lowest = min(lowest, mean / weight)
        if mean / weight > _TOO_HIGH * lowest:
            return i, _TOO_HIGH * lowest
    return len(losses), _TOO_HIGH * lowest


def _smoothed(losses: Numbers, width: float) -> Numbers:
    """Mean of the neighbours by a Gaussian of this standard deviation, in steps."""
    reach = math.ceil(4 * width)
    near = np.exp(-((np.arange(-reach, reach + 1) / width) ** 2) / 2)
    total, weight = (np.convolve(v, near)[reach:][: len(v)] for v in (losses, np.ones_like(losses)))
    smooth: Numbers = total / weight
    return smooth


def _trouble(smooth: Numbers, steps: int) -> str:
    if len(smooth) < _FEWEST:
        few = f"the loss can be read in {len(smooth)} of {steps} steps only, and {_FEWEST} are needed"
        return f"{few}; lower sched.start, or train longer"
    low = int(smooth.argmin())
    if low < 2 or smooth[low] > (1 - _FALL) * smooth[0]:
        fell = max(0.0, 100 * (1 - smooth[low] / smooth[0]))
        return (
            f"the loss fell by {fell:.1f} % only, in {len(smooth)} steps; try other learning rates (sched.start, "
            "sched.end), or train longer"
        )
    return ""
