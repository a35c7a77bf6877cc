"""The append-only record of one trial: one JSON object a line, in the `journal.jsonl` of each attempt.

Events: start (attempt, step), epoch (epoch, step, metrics), saved (step), stopped (why), done (result),
failed (cause, message, trace).
What was written after the last checkpoint is done again by the next attempt: `history` keeps only what holds. The next
attempt's start also takes back what a process that was taken for dead writes later: it stands in an earlier journal.
"""

from __future__ import annotations

import errno
import json
import os
import time
from pathlib import Path
from typing import Any, BinaryIO

from ablation.store import attempt
from ablation.store.file_errors import naming

Event = dict[str, Any]
JOURNAL = "journal.jsonl"  # in an attempt's folder
_TAIL = 1 << 16  # bytes that hold the last words, a traceback included


class Journal:
    """Appends whole lines, each in one write, so that a kill tears the last line at most."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._torn = path.exists() and not path.read_bytes().endswith(b"\n") and path.stat().st_size > 0
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        self._opened = time.monotonic()

    def write(self, event: str, **values: Any) -> Event:
        """Append one event, stamped with the time in seconds since 1970; on disk when this returns.

        Also with the seconds since the journal was opened, since clocks may be set meanwhile.
        """
        elapsed = round(time.monotonic() - self._opened, 3)
        line = {"event": event, "time": round(time.time(), 3), "elapsed": elapsed, **values}
        text = (b"\n" if self._torn else b"") + json.dumps(line).encode() + b"\n"
        with naming(self.path):
            self._torn = os.write(self._file, text) < len(text)
            if self._torn:  # a full disk takes part of a line and says nothing
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(self._file)
        return line

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def read(path: Path) -> list[Event]:
    """All whole lines; none if there is no such file. Lines torn by a kill are skipped."""
    if not path.exists():
        return []
    events = []
    for line in path.read_bytes().split(b"\n"):
        try:
            events.append(json.loads(line))
        except ValueError:
            continue
    return events


def events(seed_folder: Path) -> list[Event]:
    """The events of all attempts at a seed, one attempt after the other."""
    return [e for n in attempt.numbers(seed_folder) for e in read(attempt.folder(seed_folder, n) / JOURNAL)]


def seconds_between(earlier: Event, later: Event) -> float:
    """How long an attempt took from one of its events to another, whatever clocks were set to; sleep left out.

    Journals from before that was kept have the times of day alone.
    """
    if "elapsed" in earlier and "elapsed" in later:
        return float(later["elapsed"] - earlier["elapsed"])
    return max(0.0, float(later["time"] - earlier["time"]))


def history(events: list[Event]) -> list[Event]:
    """The epoch events that hold, one an epoch: a start at step s takes back every epoch that ended after s."""
    held: list[Event] = []
    for e in events:
        if e["event"] == "start":
            held = [h for h in held if h["step"] <= e["step"]]
        elif e["event"] == "epoch":
            held.append(e)
    return held


def settled(events: list[Event]) -> list[Event]:
    """The epoch events that can no longer be taken back: a checkpoint covers them, or the trial is done.

    The last word counts: a start at step s says that the checkpoint now is of step s, be that more or less than before.
    """
    last = next((e for e in reversed(events) if e["event"] in ("start", "saved", "done")), None)
    if last is None:
        return []
    return [h for h in history(events) if last["event"] == "done" or h["step"] <= last["step"]]


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
