"""How a trial or an arm stands, in the same words and colours in every view."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from rich.text import Text

from launch.status.outcome import HELD, NOT_STARTED

_SHOWN = 2  # trainings whose epochs are shown
# What matters first, with its colour for rich. By this order an arm's state is chosen among its trials', and the arms
# to show where not all fit.
_STATES = {
    "failed": "red",
    "stale": "magenta",
    "running": "cyan",
    "waiting": "cyan",  # for another process, which trains it
    "queued": "yellow",
    "blocked": "magenta",
    "stopped": "yellow",
    "cancelled": "",
    HELD: "magenta",
    "new": "",
    NOT_STARTED: "",
    "done": "green",
}
URGENT = tuple(_STATES)


def state_text(state: str, number: int, total: int, why: str = "", more: str = "") -> Text:
    """The state of an arm, in its colour: of how many of its trials, if not of all, and why."""
    text = state if number == total else f"{number} {state}"
    text = f"{text}: {why}" if why and state != "done" else text
    return Text("; ".join(filter(None, [text, more])), style=_STATES.get(state, ""))


def ordered(counts: Mapping[str, int]) -> dict[str, int]:
    """How many are in which state: what is done, then what matters first; states that none has are left out."""
    return {state: counts[state] for state in dict.fromkeys(["done", *URGENT, *counts]) if counts.get(state)}


def list_counts(counts: Mapping[str, int]) -> str:
    """`2 done, 1 failed`."""
    return ", ".join(f"{n} {state}" for state, n in ordered(counts).items())


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
