"""The 1cycle policy."""

from __future__ import annotations

import math
from bisect import bisect_right
from itertools import pairwise

from ablation.build import near
from ablation.sched._warmup import warmed
from ablation.types import Schedule

SHAPES = ("cosine", "linear")


def one_cycle(
    epochs: int,
    lr: float,
    rise: float = 0.3,
    div: float = 25.0,
    final_div: float = 1e4,
    shape: str = "cosine",
    three_phase: bool = False,
    momentum: float = 1.0,
    warmup: float = 0.0,
    warmup_kind: str = "linear",
    warmup_start: float = 0.0,
    warmup_per: str = "iteration",
) -> dict[str, Schedule]:
    """One rise to a large learning rate and one fall far below where it began (Smith 2018, 1803.09820; 1708.07120).

    From lr/div up to lr in the share `rise` of the training, then down to lr/div/final_div at its end. With
    `three_phase`, as in the papers, the way down is as long as the way up and leads to lr/div, and what is left leads
    to the end. Each way is half a cosine, or a line as in the papers. Meanwhile the optimiser's momentum goes the other
    way, from its own value to `momentum` times that at the peak: 0.9 to 0.8 with 0.89, say.

    Differs: the defaults are those of torch's OneCycleLR, but for the momentum, which is left alone. Its last rate is
    that of progress 1, one step after the last step. The rise is its warm-up; one of its own would come before.

    Raises:
        ValueError: an argument is out of range.
    """
    _check(rise, div, final_div, shape, three_phase, momentum)
    first = lr / div
    corners = [0.0, rise, 2 * rise, 1.0] if three_phase else [0.0, rise, 1.0]
    rates = [first, lr, *([first] if three_phase else []), first / final_div]
    factors = [1.0, momentum, *([1.0] if three_phase else []), 1.0]

    def share(epoch: float) -> float:
        return max(0.0, (epoch - warmup) / (epochs - warmup))

    schedules = warmed(
        lambda epoch: _along(corners, rates, share(epoch), shape),
        epochs, lr, warmup, warmup_kind, warmup_start, warmup_per, first,
    )  # fmt: skip
    if momentum != 1:
        schedules["momentum"] = lambda t: _along(corners, factors, share(t * epochs), shape)
    return schedules


def _along(corners: list[float], values: list[float], share: float, shape: str) -> float:
    """The value at this share of the way past the corners."""
    i = min(bisect_right(corners, share), len(corners) - 1) - 1
    (a, b), (start, end) = list(pairwise(corners))[i], list(pairwise(values))[i]
    done = (share - a) / (b - a)
    if shape == "linear":
        return start + (end - start) * done
    return end + (start - end) * (1 + math.cos(math.pi * done)) / 2


def _check(rise: float, div: float, final_div: float, shape: str, three_phase: bool, momentum: float) -> None:
    most = 0.5 if three_phase else 1
    if not 0 < rise < most:
        raise ValueError(f"rise: {rise} is not between 0 and {most}, both excluded; it is a share of the training")
    if not div >= 1:
        raise ValueError(f"div: {div} is not at least 1; the cycle begins at the learning rate divided by it")
    if not final_div > 0:
        raise ValueError(f"final_div: {final_div} is not above 0; the cycle ends at its first rate divided by it")
    if shape not in SHAPES:
        raise ValueError(f"shape: there is no {shape!r}; {near(shape, SHAPES)}")
    if not 0 < momentum <= 1:
        raise ValueError(f"momentum: {momentum} is not above 0 and at most 1; it is a factor, 1 leaves it alone")
