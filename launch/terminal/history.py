"""What happened to a trial, in plain words: its journals, attempt by attempt, and the logs of who trained it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from ablation.store import attempt
from ablation.store.journal import JOURNAL, Event, read
from launch.sweep.submission import STORE
from launch.terminal.trial_progress import format_metrics

_TRIAL_LINE = re.compile(rb"--- ([0-9a-f]{16})/seed-(\d+(?:\+\d+)*)\s*$")


def describe_attempts(seed_folder: Path, lease: float = 60.0) -> Iterator[str]:
    """One line an event; of epochs and checkpoints in a row the last one. `lease` as in `trial_status.of`."""
    numbers = attempt.numbers(seed_folder)
    if not numbers:
        yield "it has not been started yet"
    for number in numbers:
        folder = attempt.folder(seed_folder, number)
        owner, events = attempt.owner(folder), read(folder / JOURNAL)
        yield f"attempt {number}, {owner or 'by an unknown process'}" + (
            f", {_format_time(owner.time)}" if owner else ""
        )
        for _, several in groupby(events, key=lambda e: "progress" if e["event"] in ("epoch", "saved") else e["time"]):
            yield from (f"  {line}" for line in _describe_events(list(several)))
        if not any(e["event"] in ("done", "failed", "stopped") for e in events):
            yield "  goes on" if attempt.live(folder, lease) else "  died without an error"


def _describe_events(events: Sequence[Event]) -> Iterator[str]:
    """Of epochs and checkpoints the last ones; of others, each."""
    epochs = [e for e in events if e["event"] == "epoch"]
    saved = [e for e in events if e["event"] == "saved"]
    if epochs:
        first, last = epochs[0]["epoch"], epochs[-1]["epoch"]
        span = f"epoch {last}" if first == last else f"epochs {first} to {last}"
        yield f"{_format_time(epochs[-1]['time'])}  {span}  {format_metrics(epochs[-1]['metrics'])}"
    if saved:
        yield f"{_format_time(saved[-1]['time'])}  saved at step {saved[-1]['step']}"
    yield from (
        f"{_format_time(e['time'])}  {_describe_event(e)}" for e in events if e["event"] not in ("epoch", "saved")
    )


def _describe_event(e: Event) -> str:
    if e["event"] == "start":
        where = f"on {e.get('device', 'an unknown device')}, {e.get('precision', '')}".rstrip(", ")
        return f"resumes at step {e['step']}, {where}" if e["step"] else f"starts, {where}"
    if e["event"] == "failed":
        return f"fails ({e['cause']}): {' '.join(e['message'].split())}"
    if e["event"] == "stopped":
        return f"saves at step {e['step']} and stops: it was {e['why']}"
    if e["event"] == "done":
        return "is done"
    return str(e["event"])


def _format_time(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def logs_by_trial(out: Path) -> dict[tuple[str, int], list[Path]]:
    """By id and seed: the logs of workers and jobs that had a trial in hand, of all submissions, oldest first."""
    files = [
        *(out / STORE).glob("*/*/logs/*"),
        *(out / STORE).glob("*/*/jobs/*.log"),
        *(out / STORE).glob("*/*/jobs/*.out"),
    ]
    found: dict[tuple[str, int], list[Path]] = {}
    for file in sorted((f for f in files if f.is_file()), key=lambda f: f.stat().st_mtime_ns):
        for trial in _trials_in(file):
            found.setdefault(trial, []).append(file)
    return found


def _trials_in(log: Path) -> set[tuple[str, int]]:
    """The trials that a worker has written that it takes up, alone or fused with others: `--- id/seed-0+1`."""
    with log.open("rb") as file:
        taken = [_TRIAL_LINE.match(line) for line in file if line.startswith(b"---")]
    return {(m[1].decode(), int(seed)) for m in taken if m for seed in m[2].split(b"+")}
