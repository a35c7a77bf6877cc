"""How the arms of a running sweep stand, by the events of its workers, and the table of them in a terminal.

`Progress` takes in the events and estimates the time left; `draw_table` shows it in as many lines as the terminal has.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from rich.console import Group
from rich.text import Text

from launch.compose.arm import Planned, Work
from launch.status.outcome import Event, Outcome, TrialKey
from launch.status.trial_status import format_duration
from launch.sweep.submission import Submission
from launch.terminal import arm_table
from launch.terminal.arm_table import ArmRow
from launch.terminal.words import URGENT, list_counts, mean_and_std, most_urgent

_COLUMNS = ("arm", "state", "seeds", "test acc", "epoch", "left")


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

    def row(self) -> ArmRow:
        """How its seeds stand together."""
        ended, total = self.counts, len(self.planned.seeds)
        counts = ended + Counter(running=_seeds(self.running), waiting=_seeds(self.waiting))
        counts["queued"] += max(0, total - counts.total())
        state = next((word for word in URGENT if counts[word] > 0), "queued")
        done = [o.test_acc for o in self.outcomes.values() if o.state == "done" and o.test_acc is not None]
        mean, std = mean_and_std(done)
        return ArmRow(
            id=self.planned.arm.id,
            name=self.planned.arm.name,
            state=state,
            cause=", ".join(dict.fromkeys(o.cause for o in self.outcomes.values() if o.cause and o.state == state)),
            counts=dict(counts),
            done=ended["done"],
            total=total,
            mean=mean,
            std=std,
            epoch=0.0,
            running=tuple(work.epoch for work in self.running.values()),
            epochs=int(self.planned.config["epochs"]),
            latest=self.latest,
        )


def _seeds(works: Iterable[Work]) -> int:
    return sum(len(work.seeds) for work in works)


class Progress:
    """All arms, in grid order."""

    def __init__(self, submission: Submission, slots: int, hint: str = "Ctrl-C: save and stop") -> None:
        self.names = submission.names
        self.heading = self.names.heading(f"sweep {submission.name}")
        self.rows = {arm: ArmProgress(planned, self.names.short[arm]) for arm, planned in submission.arms.items()}
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
        return self.describe(self.counts)

    def describe(self, counts: Counter[str]) -> str:
        """So many of all trials are done, and so many others are in which state."""
        others = list_counts({state: n for state, n in counts.items() if state != "done"})
        return f"{counts['done']} of {self.trials} done" + (f", {others}" if others else "")

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


def draw_table(progress: Progress, width: int, height: int) -> Group:
    """The table in so many lines: of arms that do not all fit, those that matter first."""
    rows = [row.row() for row in progress.rows.values()]
    room = max(1, height - 3)  # without the heading, the columns' heads and the totals
    limit = room if len(rows) <= room else room - 1  # a line says what is hidden
    shown = most_urgent([row.state for row in rows], limit) if limit else []
    arms = list(progress.rows.values())
    left = [format_duration(s) if (s := progress.seconds_left(arms[n])) else "" for n in shown]
    table = arm_table.table([rows[n] for n in shown], progress.names, width, _COLUMNS, {"left": left})
    more = [_line(text, "dim") for text in [arm_table.hidden(rows, shown)] if text]
    return Group(_line(progress.heading, "dim"), table, *more, _line(_totals(progress, rows)))


def _line(text: str, style: str = "") -> Text:
    return Text(text, style, no_wrap=True, overflow="ellipsis")


def _totals(progress: Progress, rows: Iterable[ArmRow]) -> str:
    left = progress.total_seconds_left()
    eta = f", ETA {format_duration(left)}" if left else ""
    return f"{progress.describe(sum((Counter(row.counts) for row in rows), Counter()))}{eta}   {progress.hint}"
