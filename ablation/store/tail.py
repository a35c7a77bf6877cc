"""The ends of a journal, without reading all of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import BinaryIO

from ablation.store import attempt
from ablation.store.journal import JOURNAL, Event

_TAIL = 1 << 16  # bytes that hold the last words, a traceback included


def ends(attempt_folder: Path) -> tuple[Event, Event] | None:
    """The first and the last event of an attempt; None if it wrote none."""
    try:
        with (attempt_folder / JOURNAL).open("rb") as file:
            first = _event(file.readline())
            last = next((e for line in reversed(_lines(file)) if (e := _event(line)) is not None), None)
    except FileNotFoundError:
        return None
    return (first, last) if first is not None and last is not None else None


def tail(attempt_folder: Path) -> list[Event]:
    """The last events of an attempt; torn lines are skipped."""
    try:
        with (attempt_folder / JOURNAL).open("rb") as file:
            return [e for line in _lines(file) if (e := _event(line)) is not None]
    except FileNotFoundError:
        return []


def _lines(file: BinaryIO) -> list[bytes]:
    """The last lines of a file, the first of them whole."""
    start = max(0, file.seek(0, 2) - _TAIL)
    file.seek(start)
    return file.read().split(b"\n")[1 if start else 0 :]


def _event(line: bytes) -> Event | None:
    """None for what is torn or no event."""
    try:
        event: Event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and "event" in event and "time" in event else None


def last_epoch(seed_folder: Path, number: int, events: list[Event]) -> Event:
    """The last epoch event that no later start takes back; `events` are the last of attempt `number`, the newest.

    Without one, an event of the same form: epoch 0, no metrics, and the step at which the trial would go on.
    """
    limit = None  # the step at which a later attempt began
    for n in range(number, 0, -1):
        if n != number:
            events = tail(attempt.folder(seed_folder, n))
        for e in reversed(events):
            if e["event"] == "epoch" and (limit is None or e["step"] <= limit):
                return e
        limit = next((e["step"] for e in events if e["event"] == "start"), limit)
        if limit == 0:
            break
    return {"event": "epoch", "epoch": 0, "step": limit or 0, "metrics": {}}
