"""How a trial or an arm stands, in the same words and colours in every view."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

_SHOWN = 2  # trainings whose epochs are shown
_STATES = {
    "running": "cyan",
    "queued": "yellow",
    "stopped": "yellow",
    "done": "green",
    "failed": "red",
    "blocked": "magenta",
    "stale": "magenta",
}


# What matters first: by it an arm's state is chosen among its trials', and the arms to show where not all fit.
URGENT = ("failed", "stale", "running", "queued", "blocked", "stopped", "cancelled", "new", "done")


def colour(state: str) -> str:
    """As rich takes it; empty for a word without one."""
    return _STATES.get(state, "")


def most_urgent(states: Sequence[str], limit: int) -> list[int]:
    """The places of at most so many states (0: all), those that matter first, in the order that they stand in."""
    return sorted(sorted(range(len(states)), key=lambda n: URGENT.index(states[n]))[: limit or len(states)])


def mean_and_std(values: Sequence[float]) -> tuple[float | None, float | None]:
    """Over seeds, the second of a sample; None for fewer than one and two."""
    mean = statistics.fmean(values) if values else None
    return mean, statistics.stdev(values) if len(values) > 1 else None


def format_mean(mean: float | None, std: float | None) -> str:
    """`91.20 ± 0.30`; empty if there is none."""
    return "" if mean is None else f"{mean:.2f}" + (f" ± {std:.2f}" if std is not None else "")


def in_words(cause: str) -> str:
    """Why a trial failed or stopped."""
    return "on request" if cause == "asked" else cause


def format_epochs(behind: Sequence[int], epochs: int) -> str:
    """How far an arm's trainings are that run: `32/40 11/40 ...`, of more than two the first two."""
    return " ".join([*(f"{epoch}/{epochs}" for epoch in behind[:_SHOWN]), *["..."][: len(behind) > _SHOWN]])
