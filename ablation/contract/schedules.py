"""Schedules."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ablation.contract.shown import a, shown
from ablation.contract.subject import Raised, Subject
from ablation.sched._steps import Uncounted

SCHEDULE = "a factory (epochs, lr, ...) -> {field of the optimiser: Schedule}; Schedule = progress in [0, 1) -> factor"
_POINTS = 64


def check_schedules(subject: Subject, schedules: Any, steps: int | None = None) -> None:
    """Ask schedules for the factors along a training: at each of its steps, or while these are unknown at some points.

    One that counts steps itself is asked only once it is known how many there are.

    Raises:
        ConfigError: they break their contract.
    """
    if not isinstance(schedules, dict):
        raise subject.breach(
            f"returned {a(schedules)}, not a dict", returned=shown(schedules), wanted="{'lr': Schedule}"
        )
    for field, schedule in schedules.items():
        subject.takes(schedule, "t")
        along = [i / (steps or _POINTS) for i in range(steps or _POINTS)]
        points = along if steps else [*along, math.nextafter(1, 0)]
        try:
            first, second = ([_factor(subject, field, schedule, t) for t in points] for _ in range(2))
        except Uncounted:
            continue
        for t, one, other in zip(points, first, second, strict=True):
            if one != other:
                way = "a function of the progress alone: a run that was stopped goes on in the middle"
                raise subject.breach(f"gives two answers for t={t:g} of {field}: {one:g} and {other:g}", wanted=way)


def _factor(subject: Subject, field: str, schedule: Callable[[float], float], t: float) -> float:
    try:
        factor = subject.call(schedule, t)
    except Raised as e:
        if isinstance(e.__cause__, Uncounted):
            raise e.__cause__ from None
        raise subject.breach(str(e).splitlines()[0].removeprefix(f"{subject.path}: ") + f" at t={t:g}") from e
    if isinstance(factor, bool) or not isinstance(factor, int | float) or not 0 <= factor < math.inf:
        wanted = "a finite number from 0 up, for every t in [0, 1)"
        raise subject.breach(f"returned {shown(factor)} at t={t:g} of {field}", returned=shown(factor), wanted=wanted)
    return factor
