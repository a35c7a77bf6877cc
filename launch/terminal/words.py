"""How a trial or an arm stands, in the same words and colours in every view."""

from __future__ import annotations

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


def colour(state: str) -> str:
    """As rich takes it; empty for a word without one."""
    return _STATES.get(state, "")


def in_words(cause: str) -> str:
    """Why a trial failed or stopped."""
    return "on request" if cause == "asked" else cause


def format_epochs(behind: Sequence[int], epochs: int) -> str:
    """How far an arm's trainings are that run: `32/40 11/40 ...`, of more than two the first two."""
    return " ".join([*(f"{epoch}/{epochs}" for epoch in behind[:_SHOWN]), *["..."][: len(behind) > _SHOWN]])
