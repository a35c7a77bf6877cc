"""What the trials of a sweep have cost in time on devices, and how much of that came to nothing.

It is the time of training, by the clock and not by the core: from an attempt's first step to its last word, evaluation
and saving included, as plans estimate it (`launch/checks/cost.py`). What comes before is not in it: a queue, imports,
images that are loaded, a teacher that is waited for. Of jobs that never trained no journal tells.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ablation.store import attempt
from ablation.store.journal import Event, ends, seconds_between, tail
from launch.status.sweep_status import Trial
from launch.sweep.submission import Submission


@dataclass
class Usage:
    """Seconds of devices. Seeds that are fused share theirs, and so do trials side by side on one GPU."""

    spent: float = 0.0  # all of it, as far as the journals tell
    failed: float = 0.0  # by trials that have failed
    redone: float = 0.0  # after the last checkpoint of attempts that did not end their trial

    @property
    def wasted(self) -> float:
        """What came to nothing."""
        return self.failed + self.redone

    def hours(self) -> dict[str, float]:
        """The same in hours."""
        seconds = {**asdict(self), "wasted": self.wasted}
        return {name: round(value / 3600, 6) for name, value in seconds.items()}


def usage(trials: Iterable[Trial], submissions: Sequence[Submission]) -> dict[str, Usage]:
    """By kind of device: GPU or CPU. `submissions` (oldest first) say how many trials shared a GPU."""
    by_device: dict[str, Usage] = {}
    for trial in trials:
        failed = trial.state.kind == "failed"
        for device, spent, redone in _attempts(trial, submissions):
            entry = by_device.setdefault(device, Usage())
            entry.spent += spent
            entry.failed += spent if failed else 0.0
            entry.redone += 0.0 if failed else redone
    return by_device


def _attempts(trial: Trial, submissions: Sequence[Submission]) -> Iterator[tuple[str, float, float]]:
    """What each attempt cost: kind of device, seconds, and how many of these are to be trained again, or were."""
    if not trial.state.attempts:
        return
    lanes = len(trial.planned.seeds) if trial.planned.config["fuse"] else 1
    numbers = attempt.numbers(trial.folder)
    for number in numbers:
        folder = attempt.folder(trial.folder, number)
        start, last = ends(folder) or (None, None)
        if start is None or last is None or start["event"] != "start":
            continue  # it ended before it had begun
        final = number == numbers[-1] and trial.state.kind in ("done", "running")
        kept = last if final else _saved(folder, start)
        device = "GPU" if str(start.get("device")).startswith("cuda") else "CPU"
        share = lanes * (_sharing(submissions, start["time"]) if device == "GPU" else 1)
        yield device, seconds_between(start, last) / share, seconds_between(kept, last) / share


def _saved(folder: Path, start: Event) -> Event:
    """That an attempt saved last, or else began: what it trained since is lost."""
    return next((e for e in reversed(tail(folder)) if e["event"] == "saved"), start)


def _sharing(submissions: Sequence[Submission], began: float) -> int:
    """How many trials the submission of that time put on one GPU."""
    launcher = next((s.launcher for s in reversed(submissions) if s.time <= began), {})
    return int(launcher.get("pack", launcher.get("per_gpu", 1)))
