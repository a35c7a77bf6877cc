"""`ablation watch`: look at a sweep until it is over."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from ablation.errors import AblationError
from launch.choice import Filter, Sweep, find
from launch.follow import follow
from launch.slurm import record
from launch.slurm.round import perform
from launch.standing import Trial
from launch.verbs import _options
from launch.verbs.status import show

_ROUND = 15.0  # seconds between two rounds, since SLURM is asked gently, or
_REST = 10  # so many times as long as a round takes


class _Rounds:
    """The rounds that a sweep on SLURM needs: what ended is judged, what is to be tried is submitted."""

    def __init__(self, sweep: Sweep) -> None:
        self._open = [s.folder for s in sweep.submissions if s.launcher.get("kind") == "slurm"]
        self._due, self._told = 0.0, set[str]()

    def over(self) -> bool:
        """Whether nothing is left to judge."""
        return not self._open

    def make(self) -> None:
        """If one is due. SLURM that cannot be asked is asked again at the next."""
        began = time.monotonic()
        if not self._open or began < self._due:
            return
        for folder in list(self._open):
            try:
                report = perform(folder)
            except AblationError as e:
                self._tell(f"warning: {e}")
                continue
            for label, cause in report.retried.items():
                self._tell(f"{label}: {cause}, is tried again")
            if report.over:
                self._open.remove(folder)
        now = time.monotonic()
        self._due = now + max(_ROUND, _REST * (now - began))

    def _tell(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            click.echo(text, err=True)


@click.command()
@_options.filtered
@_options.as_json
def watch(name: str | None, out: Path, chosen: Filter, as_json: bool) -> int:
    """Follow a sweep live until nothing of it is in flight any more, then tell how it stands.

    On SLURM it also makes the rounds in which what ended is judged and tried again. Ctrl-C leaves; everything goes on.
    Without a terminal it prints a line when something changes. The exit code is that of status.
    """
    sweep = find(out, name, chosen)
    rounds, labels = _Rounds(sweep), {t.label for t in sweep.trials}

    def again() -> Sweep:
        """As it is now, of the trials that were chosen at the beginning."""
        now = find(out, sweep.name, Filter())
        return replace(now, trials=[t for t in now.trials if t.label in labels])

    def look() -> Sequence[Trial]:
        rounds.make()
        return again().trials

    try:
        follow(look, rounds.over, sweep.submissions[-1], _options.console(err=as_json))
    except KeyboardInterrupt:
        click.echo(f"left; the sweep goes on: ablation watch {sweep.name}", err=True)
        return 130
    for submission in sweep.submissions:
        if submission.launcher.get("kind") == "slurm":
            for line in record.upload(submission):
                click.echo(f"MLflow: {line}", err=True)
    return show(again(), rows=0, as_json=as_json)
