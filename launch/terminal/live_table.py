"""What a person sees while a sweep runs: a table of its arms on a terminal, plain lines elsewhere.

A view gets the events of the pool (or of `follow`) after `Progress` has taken them in.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod

from rich.console import Console
from rich.live import Live

from launch.compose.arm import Work
from launch.compose.errors import plural
from launch.status.outcome import Event, Outcome
from launch.status.trial_status import format_duration
from launch.terminal.sweep_progress import Progress, draw_table
from launch.terminal.trial_progress import format_metrics

FEW_TRIALS = 4  # up to so many, every epoch is a line
_REDRAW_SECONDS = 0.25  # between two drawings


class ProgressView(ABC):
    """Shows a `Progress`."""

    def __init__(self, progress: Progress, console: Console) -> None:
        self.progress, self.console = progress, console
        self.printed_notes: set[str] = set()  # each is a line once, with the first trial that it is about

    def update(self, event: Event) -> None:
        """Print what is worth a line in every view."""
        if event["event"] == "found":
            self.print_line(f"{self.progress.counts['done']} of {self.progress.trials} trials are done already")
            return
        if event["event"] == "stopping":
            self.print_line(f"stopping once {plural(event['busy'], 'trial')} saved; a second Ctrl-C ends all at once")
            return
        work, kind = event["work"], event["event"]
        if kind in ("note", "wait", "again"):
            # What is odd about the images is so for every trial.
            if kind != "note" or event["text"] not in self.printed_notes:
                self.print_line(f"{self.label(work)}: {event['text']}")
            self.printed_notes.add(event["text"])
        elif kind == "end":
            for seed, outcome in event["outcomes"].items():
                self.trial_ended(work, seed, outcome)

    def update_probe(self, event: Event) -> None:
        """Of a canary: print how each of its probes ended."""
        if event["event"] == "end":
            for outcome in event["outcomes"].values():
                text = "runs" if outcome.state == "done" else describe_outcome(outcome)
                self.print_line(f"canary {self.label(event['work'])}: {text}")

    def print_line(self, text: str) -> None:
        """One line."""
        self.console.print(text, markup=False, soft_wrap=True)

    def label(self, work: Work) -> str:
        """What people call a work."""
        return f"{self.progress.rows[work.id].name} seed {', '.join(map(str, work.seeds))}"

    @abstractmethod
    def trial_ended(self, work: Work, seed: int, outcome: Outcome) -> None:
        """A trial has its outcome."""

    @abstractmethod
    def tick(self) -> None:
        """Called every moment."""

    @abstractmethod
    def close(self) -> None:
        """Leave the terminal as it was."""


class ProgressLines(ProgressView):
    """A line when a trial begins and when it ends; of few trials every epoch."""

    def update(self, event: Event) -> None:
        """Also begins and epochs."""
        super().update(event)
        if event["event"] == "begin":
            resumed = f", resumed at step {event['start']} of {event['steps']}" if event["start"] else ""
            text = event.get("text") or f"begins on {event['slot']}, {event['device']}{resumed}"
            self.print_line(f"{self.label(event['work'])}: {text}")
        elif event["event"] == "epoch" and self.progress.trials <= FEW_TRIALS:
            name, epochs = self.progress.rows[event["work"].id].name, self.progress.rows[event["work"].id].running
            of = epochs[event["work"]].epochs
            self.print_line(
                f"{name} seed {event['seed']} epoch {event['epoch']}/{of}  {format_metrics(event['metrics'])}"
            )

    def trial_ended(self, work: Work, seed: int, outcome: Outcome) -> None:
        """With how many are done, and how many are over otherwise."""
        left = self.progress.total_seconds_left()
        eta = f"  ETA {format_duration(left)}" if left and left >= 1 else ""
        name = self.progress.rows[work.id].name
        self.print_line(f"[{self.progress.tally}] {name} seed {seed}: {describe_outcome(outcome)}{eta}")

    def tick(self) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class LiveTable(ProgressView):
    """The table, redrawn a few times a second; what goes wrong is a line above it."""

    def __init__(self, progress: Progress, console: Console) -> None:
        super().__init__(progress, console)
        self._live = Live(console=console, auto_refresh=False, transient=True, vertical_overflow="crop")
        self._next_draw = 0.0
        self._live.start()

    def trial_ended(self, work: Work, seed: int, outcome: Outcome) -> None:
        """Only what is no success; the table has the rest."""
        if outcome.state in ("failed", "blocked"):
            self.print_line(f"{self.progress.rows[work.id].name} seed {seed}: {describe_outcome(outcome)}")

    def tick(self) -> None:
        """Draw, if it is time; a huge sweep is drawn less often, so that it costs little."""
        began = time.monotonic()
        if began >= self._next_draw:
            self._live.update(draw_table(self.progress, self.console.width, self.console.height - 1), refresh=True)
            self._next_draw = began + max(_REDRAW_SECONDS, 10 * (time.monotonic() - began))

    def close(self) -> None:
        """Take the table away."""
        self._live.stop()


def choose_view(progress: Progress, console: Console) -> ProgressView:
    """A table on a terminal, lines elsewhere."""
    return (LiveTable if console.is_terminal else ProgressLines)(progress, console)


_LONGEST = 1000  # characters of a message, whose end says what helps


def describe_outcome(outcome: Outcome) -> str:
    """An outcome in one line."""
    if outcome.state == "done":
        return "done" if outcome.test_acc is None else f"done, test {outcome.test_acc:.2f}%"
    message = " ".join(outcome.message.split())[:_LONGEST]
    cause = f" ({outcome.cause})" if outcome.cause and not message.startswith(outcome.cause) else ""
    return f"{outcome.state}{cause}" + (f": {message}" if message else "")
