"""What a person sees while a sweep runs: a table of its arms on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod

from rich.console import Console
from rich.live import Live

from launch.compose.arm import Work
from launch.status.outcome import Event, Outcome
from launch.terminal.progress import Progress, draw, spelt_counts
from launch.terminal.trial_progress import scores

_EVERY = 0.25  # seconds between two drawings
_TALKATIVE = 4  # trials up to which every epoch is a line


def choose(board: Progress, console: Console) -> ProgressView:
    """A table on a terminal, lines elsewhere."""
    return (LiveTable if console.is_terminal else ProgressLines)(board, console)


class ProgressView(ABC):
    """Shows a board; `hear` takes the pool's events after the board has."""

    def __init__(self, board: Progress, console: Console) -> None:
        self.board, self.console = board, console
        self.noted: set[str] = set()  # notes that were said, each with the first trial that it is about

    def hear(self, event: Event) -> None:
        """Say what is worth a line."""
        if event["event"] == "found":
            self.say(f"{self.board.counts['done']} of {self.board.trials} trials are done already")
            return
        if event["event"] == "stopping":
            self.say(f"stopping: {event['busy']} trials save their state; a second Ctrl-C ends them at once")
            return
        work, kind = event["work"], event["event"]
        if kind in ("note", "wait", "again"):
            if kind != "note" or event["text"] not in self.noted:  # what is odd about the images is so for every trial
                self.say(f"{self.label(work)}: {event['text']}")
            self.noted.add(event["text"])
        elif kind == "end":
            for seed, outcome in event["outcomes"].items():
                self.ended(work, seed, outcome)

    def probed(self, event: Event) -> None:
        """What is worth a line of a canary."""
        if event["event"] == "end":
            for outcome in event["outcomes"].values():
                self.say(f"canary {self.label(event['work'])}: {'runs' if outcome.state == 'done' else spelt(outcome)}")

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


class ProgressLines(ProgressView):
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
        eta = f"  ETA {spelt_counts(left)}" if left and left >= 1 else ""
        name = self.board.rows[work.id].name
        self.say(f"[{over}/{self.board.trials}] {name} seed {seed}: {spelt(outcome)}{eta}")

    def tick(self) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class LiveTable(ProgressView):
    """The table, redrawn a few times a second; what goes wrong is a line above it."""

    def __init__(self, board: Progress, console: Console) -> None:
        super().__init__(board, console)
        self._live = Live(console=console, auto_refresh=False, transient=True, vertical_overflow="crop")
        self._next = 0.0
        self._live.start()

    def ended(self, work: Work, seed: int, outcome: Outcome) -> None:
        """Only what is no success; the table has the rest."""
        if outcome.state in ("failed", "blocked"):
            self.say(f"{self.board.rows[work.id].name} seed {seed}: {spelt(outcome)}")

    def tick(self) -> None:
        """Draw, if it is time; a huge sweep is drawn less often, so that it costs little."""
        began = time.monotonic()
        if began >= self._next:
            self._live.update(draw(self.board, self.console.height - 1), refresh=True)
            self._next = began + max(_EVERY, 10 * (time.monotonic() - began))

    def close(self) -> None:
        """Take the table away."""
        self._live.stop()


def spelt(outcome: Outcome) -> str:
    """An outcome in one line."""
    if outcome.state == "done":
        return "done" if outcome.test_acc is None else f"done, test {outcome.test_acc:.2f}%"
    cause = f" ({outcome.cause})" if outcome.cause else ""
    return f"{outcome.state}{cause}" + (f": {' '.join(outcome.message.split())[:300]}" if outcome.message else "")
