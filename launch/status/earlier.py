"""Trials that were done before somebody asked for them: nothing is run for them, and that is said."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

from ablation.store import attempt
from ablation.store.result import RESULT, Damaged, look
from ablation.store.tail import ends


def done_at(seed_folder: Path) -> float | None:
    """When a trial was done, seconds since 1970; None if it is not."""
    result = look(seed_folder)
    if result is None or isinstance(result, Damaged):
        return None
    _, last = ends(attempt.folder(seed_folder, int(result.get("attempt", 0)))) or (None, None)
    told = last is not None and last["event"] == "done"
    return float(last["time"]) if told and last is not None else (seed_folder / RESULT).stat().st_mtime


def ago(times: Iterable[float]) -> str:
    """How long ago the last of these was: `12 min ago`."""
    return f"{duration(max(0.0, time.time() - max(times)), decimals=0)} ago"


def duration(seconds: float, decimals: int = 1) -> str:
    """In the unit that people would use."""
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.{decimals}f} {unit}"
    return f"{seconds:.{decimals}f} s"
