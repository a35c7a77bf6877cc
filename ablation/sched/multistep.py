"""Step decay at milestones."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from ablation.sched._warmup import warmed
from ablation.types import Schedule

# step/steps * epochs may fall short of a whole epoch by rounding; a step is never this short.
_ROUNDING = 1e-9


def multistep(
    epochs: int,
    lr: float,
    milestones: Sequence[float] = (0.5, 0.75),
    gamma: float = 0.1,
    warmup: float = 0.0,
    warmup_kind: str = "linear",
    warmup_start: float = 0.0,
    warmup_per: str = "iteration",
) -> dict[str, Schedule]:
    """The learning rate times gamma at each milestone, as for residual networks (He et al. 2015, 1512.03385).

    A milestone below 1 is a share of the training, so that [0.5, 0.75] are epochs 100 and 150 of 200 and still make
    sense at another budget; from 1 up it is in epochs. Both are counted from epoch 0, the warm-up included.

    Raises:
        ValueError: an argument is out of range.
    """
    schedules = warmed(
        lambda epoch: lr * gamma ** bisect_right(at, epoch + _ROUNDING),
        epochs,
        lr,
        warmup,
        warmup_kind,
        warmup_start,
        warmup_per,
    )
    if not 0 < gamma < float("inf"):
        raise ValueError(f"gamma: {gamma} is not a finite number above 0; it is the factor at each milestone")
    if not all(m > 0 for m in milestones):
        raise ValueError(f"milestones: {list(milestones)} are not all above 0, in epochs, or below 1 as shares")
    at = [m * epochs if m < 1 else float(m) for m in milestones]
    if sorted(set(at)) != at:
        raise ValueError(f"milestones: {list(milestones)} are epochs {at} of {epochs}, which do not increase")
    if at and at[-1] >= epochs:
        raise ValueError(f"milestones: {at[-1]:g} is not before the end at {epochs} epochs; use shares such as 0.75")
    if at and at[0] < warmup:
        raise ValueError(f"milestones: {at[0]:g} is inside the warm-up of {warmup:g} epochs; shorten the warm-up")
    return schedules
