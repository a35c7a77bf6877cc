"""What a person sees while a sweep runs: a table of its arms on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from launch.board import Board, Row
from launch.console import scores
from launch.outcome import Event, Outcome
from launch.sweep import Work

_EVERY = 0.25  # seconds between two drawings
_TALKATIVE = 4  # trials up to which every epoch is a line
_STYLES = {"running": "cyan", "done": "green", "failed": "red", "blocked": "red", "stopped": "yellow"}
# What a person looks for first, where not all arms fit.
_FIRST = ("running", "failed", "blocked", "waiting", "stopped", "cancelled", "done", "queued")


def choose(board: Board, console: Console) -> View:
    """A table on a terminal, lines elsewhere."""
    return (Arms if console.is_terminal else Lines)(board, console)


class View(ABC):
    """Shows a board; `hear` takes the pool's events after the board has."""

    def __init__(self, board: Board, console: Console) -> None:
        self.board, self.console = board, console

    def hear(self, event: Event) -> None:
        """Say what is worth a line."""
        if event["event"] == "found":
            self.say(f"{self.board.counts['done']} of {self.board.trials} trials are done already")
            return
        work, kind = event["work"], event["event"]
        if kind in ("note", "wait", "again"):
            self.say(f"{self.label(work)}: {event['text']}")
        elif kind == "end":
            for seed, outcome in event["outcomes"].items():
                self.ended(work, seed, outcome)

    def say(self, text: str) -> None:
        """One line."""
        self.console.print(text, markup=False, soft_wrap=True)

    def label(self, work: Work) -> str:
        """What people call a work."""
        return f"{self.board.rows[work.id].name} seed {', '.join(map(str, work.seeds))}"

    @abstractmethod
    def ended(self, work: Work, seed: int, outcome: Outcome) -> None:
        """A trial has its outcome."""

    @abstractmethod
    def tick(self) -> None:
        """Called every moment."""

    @abstractmethod
    def close(self) -> None:
        """Leave the terminal as it was."""


class Lines(View):
    """A line when a trial begins and when it ends; of few trials every epoch."""

    def hear(self, event: Event) -> None:
        """Also begins and epochs."""
        super().hear(event)
        if event["event"] == "begin":
            resumed = f", resumed at step {event['start']} of {event['steps']}" if event["start"] else ""
            self.say(f"{self.label(event['work'])}: begins on {event['slot']}, {event['device']}{resumed}")
        elif event["event"] == "epoch" and self.board.trials <= _TALKATIVE:
            name, epochs = self.board.rows[event["work"].id].name, self.board.rows[event["work"].id].legs
            of = epochs[event["work"]].epochs
            self.say(f"{name} seed {event['seed']} epoch {event['epoch']}/{of}  {scores(event['metrics'])}")

    def ended(self, work: Work, seed: int, outcome: Outcome) -> None:
        """With how many are over."""
        over, left = self.board.counts.total(), self.board.total_left()
        eta = f"  ETA {spell(left)}" if left and left >= 1 else ""
        name = self.board.rows[work.id].name
        self.say(f"[{over}/{self.board.trials}] {name} seed {seed}: {spelt(outcome)}{eta}")

    def tick(self) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class Arms(View):
    """The table, redrawn a few times a second; what goes wrong is a line above it."""

    def __init__(self, board: Board, console: Console) -> None:
        super().__init__(board, console)
        self._live = Live(console=console, auto_refresh=False, transient=True, vertical_overflow="crop")
        self._drawn = 0.0
        self._live.start()

    def ended(self, work: Work, seed: int, outcome: Outcome) -> None:
        """Only what is no success; the table has the rest."""
        if outcome.state in ("failed", "blocked"):
            self.say(f"{self.board.rows[work.id].name} seed {seed}: {spelt(outcome)}")

    def tick(self) -> None:
        """Draw, if the last drawing is old."""
        now = time.monotonic()
        if now - self._drawn >= _EVERY:
            self._drawn = now
            self._live.update(draw(self.board, self.console.width, self.console.height - 1), refresh=True)

    def close(self) -> None:
        """Take the table away."""
        self._live.stop()


def draw(board: Board, width: int, height: int) -> Table:
    """The table in so many columns and lines: of arms that do not all fit, those that matter first."""
    rows = list(board.rows.values())
    states = {id(row): row.state for row in rows}
    room = max(1, height - 3)
    if len(rows) > room:
        chosen = sorted(rows, key=lambda row: _FIRST.index(states[id(row)]))[: room - 1]
        kept = {id(row) for row in chosen}
        hidden = [states[id(row)] for row in rows if id(row) not in kept]
        rows = [row for row in rows if id(row) in kept]
    else:
        hidden = []
    table = Table(box=None, pad_edge=False, expand=True, caption=_totals(board), caption_justify="left")
    table.caption_style = ""
    table.add_column("arm", ratio=1, no_wrap=True, overflow="ellipsis")
    table.add_column("state", no_wrap=True)
    for column in ("seeds", "epoch", "test acc", "left"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*_cells(board, row, states[id(row)]))
    if hidden:
        told = ", ".join(f"{n} {state}" for state, n in Counter(hidden).items())
        table.add_row(Text(f"and {len(hidden)} more: {told}", style="dim"))
    return table


def _cells(board: Board, row: Row, state: str) -> Sequence[Text | str]:
    legs = list(row.legs.values())
    epochs = " ".join(f"{leg.epoch}/{leg.epochs}" for leg in legs[:2]) + (" ..." if len(legs) > 2 else "")
    return (
        Text(row.name),
        Text(state, style=_STYLES.get(state, "")),
        f"{row.counts['done']}/{len(row.planned.seeds)}",
        epochs,
        _accuracy(row),
        spell(board.left(row)),
    )


def _accuracy(row: Row) -> str:
    """The mean of the seeds that are done, or how far the latest epoch has come."""
    known = row.accuracies
    if known:
        return f"{sum(known) / len(known):.2f}"
    return f"({row.latest:.2f})" if row.latest is not None else ""


def _totals(board: Board) -> Text:
    counts = board.counts
    running = sum(len(work.seeds) for row in board.rows.values() for work in row.legs)
    queued = board.trials - counts.total() - running
    parts = [f"{counts['done']} of {board.trials} trials done", f"{running} running", f"{queued} queued"]
    parts += [f"{n} {state}" for state, n in sorted(counts.items()) if state != "done"]
    left = board.total_left()
    parts += [f"ETA {spell(left)}"] if left else []
    return Text("  ".join(parts) + "   Ctrl-C: save and stop")


def spelt(outcome: Outcome) -> str:
    """An outcome in one line."""
    if outcome.state == "done":
        return "done" if outcome.test_acc is None else f"done, test {outcome.test_acc:.2f}%"
    cause = f" ({outcome.cause})" if outcome.cause else ""
    return f"{outcome.state}{cause}" + (f": {' '.join(outcome.message.split())}" if outcome.message else "")


def spell(seconds: float | None) -> str:
    """A time left, in the unit that fits."""
    if seconds is None:
        return ""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
