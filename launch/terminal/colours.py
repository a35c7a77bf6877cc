"""The colours of the words for how a trial or an arm stands, the same in every view."""

from __future__ import annotations

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
