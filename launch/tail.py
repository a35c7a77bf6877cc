"""The end of a journal, without reading all of it."""

from __future__ import annotations

import json
from pathlib import Path

from ablation import attempt
from ablation.journal import JOURNAL, Event

_TAIL = 1 << 16  # bytes that hold the last words, a traceback included


def tail(attempt_folder: Path) -> list[Event]:
    """The last events of an attempt; torn lines are skipped."""
    try:
        with (attempt_folder / JOURNAL).open("rb") as file:
            start = max(0, file.seek(0, 2) - _TAIL)
            file.seek(start)
            lines = file.read().split(b"\n")[1 if start else 0 :]
    except FileNotFoundError:
        return []
    events = []
    for line in lines:
        try:
            events.append(json.loads(line))
        except ValueError:
            continue
    return events


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
