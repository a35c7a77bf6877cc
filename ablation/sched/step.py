"""Step decay at equal distances."""

from __future__ import annotations

from ablation.sched._warmup import warmed
from ablation.types import Schedule

# step/steps * epochs may fall short of a whole epoch by rounding; a step is never this short.
_ROUNDING = 1e-9


def step(
    epochs: int,
    lr: float,
    every: float = 0.25,
    gamma: float = 0.1,
    warmup: float = 0.0,
    warmup_kind: str = "linear",
    warmup_start: float = 0.0,
    warmup_per: str = "iteration",
) -> dict[str, Schedule]:
    """The learning rate times gamma every so many epochs: lr(e) = lr gamma^floor(e/every).

    `every` below 1 is a share of the training, so that 0.25 is every 30 of 120 epochs (He et al. 2018, 1812.01187) and
    still makes sense at another budget; from 1 up it is in epochs. Counted from epoch 0, the warm-up included, as the
    milestones of multistep are.

    Raises:
        ValueError: an argument is out of range.
    """
    schedules = warmed(
        lambda epoch: float(lr * gamma ** ((epoch + _ROUNDING) // distance)),
        epochs, lr, warmup, warmup_kind, warmup_start, warmup_per,
    )  # fmt: skip
    if not 0 < gamma < float("inf"):
        raise ValueError(f"gamma: {gamma} is not a finite number above 0; it is the factor of each step")
    if not every > 0:
        raise ValueError(f"every: {every} is not above 0; give epochs, or below 1 a share of the training")
    distance = every * epochs if every < 1 else float(every)
    if distance >= epochs:
        raise ValueError(f"every: {every:g} epochs are all of the {epochs} trained; use a share such as 0.25")
    if distance < warmup:
        raise ValueError(f"every: the first step, at {distance:g}, is inside the warm-up of {warmup:g} epochs")
    return schedules
