"""What a person sees of a trial: a live bar on a terminal, plain lines elsewhere, and a panel at the end."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from ablation.errors import AblationError, Blocked, Cancelled
from ablation.store.attempt import Busy, Fenced
from ablation.track.ready import where_to_look
from ablation.trial.observer import Leg, Watch
from launch.status.trial_status import format_ago, format_duration

_WORDS = {Busy: "busy", Fenced: "lost", Cancelled: "cancelled", Blocked: "blocked"}  # failures that are none
Results = Mapping[int, Mapping[str, Any] | AblationError]


def choose_watch(name: str, folder: Path, tracker: str | None) -> TrialLines:
    """A bar on a terminal, lines elsewhere. `tracker` is where MLflow keeps the runs, if it does."""
    console = Console(highlight=False)
    return (TrialBar if console.is_terminal else TrialLines)(name, folder, tracker, console)


def format_metrics(metrics: Mapping[str, float | None]) -> str:
    """Losses, accuracies in percent, learning rate and speed on one line."""
    formats = {
        "train_loss": "loss {:.3f}",
        "train_acc": "train {:.2f}%",
        "val_acc": "val {:.2f}%",
        "test_acc": "test {:.2f}%",
    }
    formats |= {"raw_test_acc": "raw test {:.2f}%", "lr": "lr {:.2g}", "images_per_s": "{:.0f} img/s"}
    return "  ".join(form.format(metrics[key]) for key, form in formats.items() if metrics.get(key) is not None)


class TrialLines(Watch):
    """One line an epoch."""

    def __init__(self, name: str, folder: Path, tracker: str | None, console: Console) -> None:
        self.name, self.folder, self.tracker, self.console = name, folder, tracker, console
        self._epochs, self._began, self._first = 0, 0.0, 0

    def _print_line(self, text: str) -> None:
        self.console.print(text, markup=False, soft_wrap=True)

    def note(self, text: str) -> None:
        """A line marked as a note."""
        self._print_line(f"note: {text}")

    def begin(self, leg: Leg) -> None:
        """What is trained, where, and from where it resumes."""
        per_epoch = leg.steps // leg.epochs
        self._epochs, self._began, self._first = leg.epochs, time.monotonic(), leg.start // per_epoch
        seeds = ", ".join(map(str, leg.seeds))
        resumed = f", resumed at step {leg.start} of {leg.steps}" if leg.start else ""
        self._print_line(
            f"{self.name} seed {seeds}: {leg.params / 1e6:.2f} M parameters, {leg.epochs} epochs of {per_epoch} steps, "
            f"{leg.device}, {leg.precision}{resumed}"
        )

    def tick(self) -> None:
        """Nothing: lines come by the epoch."""

    def epoch(self, seed: int, epoch: int, metrics: Mapping[str, float]) -> None:
        """The epoch's line, with the time left."""
        spent = time.monotonic() - self._began
        left = spent / max(1, epoch - self._first) * (self._epochs - epoch)
        self._print_line(
            f"seed {seed} epoch {epoch}/{self._epochs}  {format_metrics(metrics)}  ETA {format_duration(left)}"
        )

    def end(self, seed: int, result: Mapping[str, Any]) -> None:
        """Nothing: the panel says it all."""

    def close(self) -> None:
        """Leave the terminal as it was, whatever happened."""

    def summary(self, outcomes: Results, before: Mapping[int, float], doubts: Sequence[str] = ()) -> None:
        """The panel: per seed the last epoch's accuracy and the best epoch's, and where to look further.

        `before`: of the seeds for which nothing was run, when they were done, seconds since 1970. `doubts` are about
        what these have measured.
        """
        table = Table(box=None, pad_edge=False)
        for column in ("seed", "test acc (last)", "best epoch's", "test loss", "train acc", "time"):
            table.add_column(column, justify="right")
        for seed, outcome in sorted(outcomes.items()):
            table.add_row(*_row(seed, outcome))
        about: Mapping[str, str] = next((o["data"] for o in outcomes.values() if not isinstance(o, AblationError)), {})
        images = ", ".join(f"{k} {v}" for k, v in about.items() if k in ("name", "train", "val", "test"))
        lines = [_nothing_run(outcomes, before), *doubts] if before else [*doubts]
        lines += [f"images      {images}"] if images else []
        places = [f"run folder  {self.folder}"]
        places += [f"compare     {where_to_look(self.tracker)}"] if self.tracker else []
        # What is to be copied stays in one piece.
        below = [line for line in places if len(line) > self.console.width - 4]
        body = Group(table, "", *(Text(line) for line in [*lines, *places] if line not in below))
        self.console.print(Panel(body, title=Text(self.name), title_align="left", expand=False))
        for line in below:
            self.console.print(line, markup=False, soft_wrap=True)


class TrialBar(TrialLines):
    """A live bar within the epoch, above it the lines."""

    def __init__(self, name: str, folder: Path, tracker: str | None, console: Console) -> None:
        super().__init__(name, folder, tracker, console)
        self._progress: Progress | None = None
        self._task = TaskID(0)

    def begin(self, leg: Leg) -> None:
        """The line, then the bar."""
        self.close()
        super().begin(leg)
        columns = (
            TextColumn("step"),
            MofNCompleteColumn(),
            BarColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[scores]}"),
        )
        self._progress = Progress(*columns, console=self.console, transient=True)
        self._task = self._progress.add_task("", total=leg.steps, completed=leg.start, scores="")
        self._progress.start()

    def tick(self) -> None:
        """Move the bar."""
        if self._progress:
            self._progress.advance(self._task)

    def epoch(self, seed: int, epoch: int, metrics: Mapping[str, float]) -> None:
        """The latest scores beside the bar."""
        if self._progress:
            self._progress.update(self._task, scores=f"epoch {epoch}/{self._epochs}  {format_metrics(metrics)}")

    def end(self, seed: int, result: Mapping[str, Any]) -> None:
        """Take the bar away."""
        self.close()

    def close(self) -> None:
        """Take the bar away."""
        if self._progress:
            self._progress.stop()
            self._progress = None


def _nothing_run(outcomes: Results, before: Mapping[int, float]) -> str:
    """What was done already."""
    if before.keys() >= outcomes.keys():
        return f"already done {format_ago(before.values())}; nothing was run"
    which = ", ".join(map(str, sorted(before)))
    return f"already done {format_ago(before.values())}, and not run again: seed{'s' * (len(before) > 1)} {which}"


def _row(seed: int, outcome: Mapping[str, Any] | AblationError) -> tuple[str, ...]:
    if isinstance(outcome, AblationError):
        return (
            str(seed),
            next((word for kind, word in _WORDS.items() if isinstance(outcome, kind)), "failed"),
            *[""] * 4,
        )
    texts = {k: "not finite" if v is None else f"{v:.3f}" if "loss" in k else f"{v:.2f}" for k, v in _numbers(outcome)}
    best = f"{texts['best_test_acc']} (epoch {outcome['best_epoch']})"
    spent = format_duration(outcome["seconds"])
    return str(seed), texts["test_acc"], best, texts["test_loss"], texts["train_acc"], spent


def _numbers(outcome: Mapping[str, Any]) -> list[tuple[str, float | None]]:
    return [(k, outcome[k]) for k in ("test_acc", "best_test_acc", "test_loss", "train_acc")]
