"""Where a run rests and ends on its schedule: traps that any schedule can be asked about, whatever it is called."""

from __future__ import annotations

from itertools import accumulate, pairwise

from ablation.sched._steps import Uncounted
from ablation.types import Schedule

_POINTS = 1000  # at which a schedule is looked at, evenly over the training
_FALLEN = 0.1  # at most so much of the last rise is left at the end of a cycle that is complete
_NAMED = 5  # epochs that a sentence names
_SHORT = 1e-6  # of an epoch: no step is so short, and schedules round by less
_SMALL = 0.01  # of the peak: a rise by less is no cycle
_REST = 1e-9  # of the peak: less is no rate
_LOOKS = 8  # at which an epoch is looked at, besides its very end
_LATE = 0.6  # of the training: a rate that still rises then has little left to train with


def ending(schedule: Schedule, epochs: int) -> list[str]:
    """What is suspicious about a schedule of the learning rate over so many epochs, a sentence each.

    - The rate ends high although it was low before, after a peak: the run ends inside a cycle (a restart, a triangle),
      as the lab notes' cosines with restarts did, of which one ended at the top and lost ten points.
    - The rate first reaches its peak late: a warm-up made for longer runs. One that rises to the very
      end, as a range test's does, is meant to.
    - The rate is 0 during a whole epoch: a warm-up from 0 that is held within epochs has such a first one, and a decay
      that is too steep has them at the end. A single first step at 0 is no matter.

    Nothing is said of a schedule that counts steps as long as nobody knows how many an epoch has.
    """
    try:
        rates = [schedule(i / _POINTS) for i in range(_POINTS)]
    except Uncounted:
        return []
    return [*_inside_a_cycle(rates, epochs), *_late_peak(rates, epochs), *_at_rest(schedule, epochs)]


def _inside_a_cycle(rates: list[float], epochs: int) -> list[str]:
    """A warm-up is no cycle: what counts as low comes after the first fall."""
    first = next((i for i, (a, b) in enumerate(pairwise(rates)) if b < a), None)
    if first is None:
        return []
    end, peak = rates[-1], max(rates)
    tops = list(accumulate(reversed(rates), max))[::-1]  # the highest from each point on
    lows = [i for i in range(first, _POINTS) if _risen(rates[i], tops[i], end, peak)]
    if not lows:
        return []
    low = min(lows, key=lambda i: (rates[i], -i))
    return [
        f"the learning rate ends at {_share(end / peak)} of its peak, after having been at {_share(rates[low] / peak)} "
        f"in epoch {low * epochs // _POINTS + 1} of {epochs}: the run ends inside a cycle; choose epochs so that "
        "cycles are completed"
    ]


def _risen(low: float, top: float, end: float, peak: float) -> bool:
    """Whether the rate has risen since it was low, and has not fallen again by the end."""
    return top - low > _SMALL * peak and end - low > _FALLEN * (top - low)


def _late_peak(rates: list[float], epochs: int) -> list[str]:
    peak = rates.index(max(rates))
    if peak < _LATE * _POINTS or peak == _POINTS - 1:
        return []
    return [
        f"the learning rate reaches its peak only in epoch {peak * epochs // _POINTS + 1} of {epochs}: is the warm-up "
        "made for a longer run?"
    ]


def _at_rest(schedule: Schedule, epochs: int) -> list[str]:
    """Of each epoch its beginning, some moments in between and its end."""
    within = [*(i / _LOOKS for i in range(_LOOKS)), 1 - _SHORT]
    highest = [max(schedule((epoch + moment) / epochs) for moment in within) for epoch in range(epochs)]
    rests = [epoch for epoch, rate in enumerate(highest, 1) if rate < _REST * max(highest)]
    if not rests:
        return []
    which = ", ".join(map(str, rests[:_NAMED])) + (f" and {len(rests) - _NAMED} more" if len(rests) > _NAMED else "")
    way = (
        "; a warm-up from 0 that is held within epochs begins so: set sched.warmup_start, or sched.warmup_per=iteration"
    )
    return [
        f"the learning rate is 0 in all of epoch{'s' * (len(rests) > 1)} {which} of {epochs}: "
        f"{len(rests) / epochs:.2g} of the training changes nothing{way if rests[0] == 1 else ''}"
    ]


def _share(part: float) -> str:
    return f"{100 * part:.2g} %" if part < 0.0995 else f"{100 * part:.0f} %"
