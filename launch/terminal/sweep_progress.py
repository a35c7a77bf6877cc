"""How the arms of a running sweep stand, by the events of its workers, and the table of them in a terminal.

`Progress` takes in the events and estimates the time left; `draw_table` shows it in as many lines as the terminal has.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from rich.console import Group
from rich.table import Table
from rich.text import Text

from launch.compose.arm import Planned, Work
from launch.compose.naming import short_names
from launch.status.outcome import HELD, NOT_STARTED, Event, Outcome, TrialKey
from launch.sweep.submission import Submission
from launch.terminal.words import colour, format_epochs

# What a person looks for first, where not all arms fit.
_MOST_URGENT = ("running", "failed", "blocked", "waiting", "stopped", "cancelled", "done", "queued", HELD, NOT_STARTED)


@dataclass
class RunningWork:
    """A work that is being trained."""

    device: str
    epochs: int
    first: int  # epochs that an earlier attempt had done
    epoch: int  # done
    began: float  # on the monotonic clock

    @property
    def pace(self) -> float | None:
        """Seconds an epoch; None before the first has ended."""
        return (time.monotonic() - self.began) / (self.epoch - self.first) if self.epoch > self.first else None

    def seconds_left(self, pace: float) -> float:
        """Until it is over, at so many seconds an epoch."""
        return max(0.0, self.began + pace * (self.epochs - self.first) - time.monotonic())


@dataclass
class ArmProgress:
    """One arm and its seeds."""

    planned: Planned
    name: str  # what sets it apart from the others
    running: dict[Work, RunningWork] = field(default_factory=dict)
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    waiting: set[Work] = field(default_factory=set)  # for another process
    latest: float | None = None  # test accuracy of the latest epoch, percent
    pace: float | None = None  # seconds an epoch

    @property
    def counts(self) -> Counter[str]:
        """How many seeds have which outcome."""
        return Counter(o.state for o in self.outcomes.values())

    @property
    def accuracies(self) -> list[float]:
        """Test accuracies of the seeds that are done, percent."""
        return [o.test_acc for o in self.outcomes.values() if o.state == "done" and o.test_acc is not None]

    @property
    def state(self) -> str:
        """The word that matters most."""
        if self.running:
            return "running"
        for word in ("failed", "blocked", "cancelled", "stopped", "running", "queued", HELD, NOT_STARTED):
            if self.counts[word]:
                return word
        if len(self.outcomes) == len(self.planned.seeds):
            return "done"
        return "waiting" if self.waiting else "queued"


class Progress:
    """All arms, in grid order."""

    def __init__(self, submission: Submission, slots: int, hint: str = "Ctrl-C: save and stop") -> None:
        self.common, short = short_names({arm: p.arm.name for arm, p in submission.arms.items()})
        self.rows = {arm: ArmProgress(planned, short[arm]) for arm, planned in submission.arms.items()}
        self.slots, self.hint = slots, hint
        self.before: set[TrialKey] = set()  # trials that were done before this run, which runs nothing for them
        self.trials = sum(len(p.seeds) for p in submission.arms.values())

    @property
    def counts(self) -> Counter[str]:
        """How many trials have which outcome."""
        return sum((row.counts for row in self.rows.values()), Counter())

    @property
    def tally(self) -> str:
        """Where it has come to, in words: what is over without being done is not among what is done."""
        counts = self.counts
        others = (f", {n} {state}" for state, n in sorted(counts.items()) if state != "done")
        return f"{counts['done']} of {self.trials} done{''.join(others)}"

    def update(self, event: Event) -> None:
        """Take in an event of a worker or of the pool."""
        if event["event"] == "found":
            for work, outcomes in event["works"].items():
                self.rows[work.id].outcomes |= outcomes
                self.before |= {(work.id, seed) for seed, outcome in outcomes.items() if outcome.state == "done"}
            return
        if event["event"] == "stopping":
            return
        row, work = self.rows[event["work"].id], event["work"]
        if event["event"] == "begin":
            first = event["start"] * event["epochs"] // event["steps"]
            row.running[work] = RunningWork(event["device"], event["epochs"], first, first, time.monotonic())
            row.waiting.discard(work)
            row.outcomes = {seed: o for seed, o in row.outcomes.items() if seed not in work.seeds}
        elif event["event"] == "epoch":
            running = row.running[work]
            running.epoch, row.latest = event["epoch"], event["metrics"].get("test_acc")
            row.pace = running.pace
        elif event["event"] == "wait":
            row.running.pop(work, None)
            row.waiting.add(work)
        elif event["event"] in ("end", "again"):
            row.running.pop(work, None)
            row.waiting.discard(work)
            row.outcomes |= event.get("outcomes", {})

    def seconds_left(self, row: ArmProgress) -> float | None:
        """Seconds until the last of an arm's running works is over; None if none runs or nobody knows."""
        pace = row.pace or self._pace()
        return max((work.seconds_left(pace) for work in row.running.values()), default=None) if pace else None

    def total_seconds_left(self) -> float | None:
        """Seconds until all is over, if every slot is used to the end; None if nobody knows yet."""
        overall = self._pace()
        if overall is None:
            return None
        return sum(self._work_left(row, overall) for row in self.rows.values()) / self.slots

    def _work_left(self, row: ArmProgress, overall: float) -> float:
        pace, epochs = row.pace or overall, int(row.planned.config["epochs"])
        queued = [w for w in row.planned.works if w not in row.running and not set(w.seeds) <= set(row.outcomes)]
        return pace * epochs * len(queued) + sum(work.seconds_left(pace) for work in row.running.values())

    def _pace(self) -> float | None:
        """Mean seconds an epoch over the arms that are known."""
        known = list(self._paces())
        return sum(known) / len(known) if known else None

    def _paces(self) -> Iterator[float]:
        for row in self.rows.values():
            if row.pace is not None:
                yield row.pace


def draw_table(progress: Progress, height: int) -> Group:
    """The table in so many lines: of arms that do not all fit, those that matter first."""
    states = {arm: row.state for arm, row in progress.rows.items()}
    common = [_line(f"all: {progress.common}", "dim")] if progress.common else []
    shown = _chosen(states, max(1, height - 2 - len(common)))
    table = Table(box=None, pad_edge=False, expand=True)
    table.add_column("arm", ratio=1, no_wrap=True, overflow="ellipsis")
    table.add_column("state", no_wrap=True)
    for column in ("seeds", "epoch", "test acc", "left"):
        table.add_column(column, justify="right", no_wrap=True)
    for arm in shown:
        table.add_row(*_cells(progress, progress.rows[arm], states[arm]))
    hidden = [state for arm, state in states.items() if arm not in shown]
    more = [_line(_hidden(hidden), "dim")] if hidden else []
    return Group(*common, table, *more, _line(_totals(progress)))


def _hidden(states: Iterable[str]) -> str:
    counts = Counter(states)
    return f"and {counts.total()} more: {', '.join(f'{n} {state}' for state, n in counts.items())}"


def _chosen(states: Mapping[str, str], room: int) -> dict[str, None]:
    """The arms that have a line, in grid order; one line is left to say what is hidden."""
    if len(states) <= room:
        return dict.fromkeys(states)
    first = set(sorted(states, key=lambda arm: _MOST_URGENT.index(states[arm]))[: room - 1])
    return {arm: None for arm in states if arm in first}


def _line(text: str, style: str = "") -> Text:
    return Text(text, style, no_wrap=True, overflow="ellipsis")


def _cells(progress: Progress, row: ArmProgress, state: str) -> Sequence[Text | str]:
    running = list(row.running.values())
    epochs = format_epochs([work.epoch for work in running], int(row.planned.config["epochs"]))
    return (
        Text(row.name),
        Text(state, style=colour(state)),
        f"{row.counts['done']}/{len(row.planned.seeds)}",
        epochs,
        _accuracy(row),
        format_time_left(progress.seconds_left(row)),
    )


def _accuracy(row: ArmProgress) -> str:
    """The mean of the seeds that are done, or how far the latest epoch has come."""
    known = row.accuracies
    if known:
        return f"{sum(known) / len(known):.2f}"
    return f"({row.latest:.2f})" if row.latest is not None else ""


def _totals(progress: Progress) -> str:
    counts = progress.counts
    running = sum(len(work.seeds) for row in progress.rows.values() for work in row.running)
    queued = progress.trials - counts.total() - running
    parts = [f"{counts['done']} of {progress.trials} trials done", f"{running} running", f"{queued} queued"]
    parts += [f"{n} {state}" for state, n in sorted(counts.items()) if state != "done"]
    left = progress.total_seconds_left()
    parts += [f"ETA {format_time_left(left)}"] if left else []
    return "  ".join(parts) + f"   {progress.hint}"


def format_time_left(seconds: float | None) -> str:
    """A time left, in the unit that fits."""
    if seconds is None:
        return ""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
