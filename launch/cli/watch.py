"""`ablation watch`: follow a sweep until it is over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from ablation.errors import AblationError
from launch.backends import backend_of, by_backend
from launch.cli import options
from launch.cli.selection import Filter, SelectedSweep, select
from launch.cli.status import show
from launch.compose.overrides import verb_command
from launch.status.sweep_status import Trial
from launch.terminal.follow import OncePrinter, follow


@click.command()
@options.filtered
@options.as_json
def watch(name: str | None, out: Path, chosen: Filter, as_json: bool) -> int:
    """Follow a sweep live until nothing of it is in flight any more, then tell how it stands.

    On SLURM it also makes the rounds in which what ended is judged and tried again. Ctrl-C leaves; everything goes on.
    Without a terminal it prints a line when something changes. The exit code is that of status.
    """
    sweep = select(out, name, chosen)
    print_line, labels = OncePrinter(lambda text: click.echo(text, err=True)), {t.label for t in sweep.trials}
    rounds = [backend.rounds(own, print_line) for backend, own in by_backend(sweep.submissions)]

    def read_again() -> SelectedSweep:
        """As it is now, of the trials that were chosen at the beginning."""
        now = select(out, sweep.name, Filter())
        return replace(now, trials=[t for t in now.trials if t.label in labels])

    def poll() -> Sequence[Trial]:
        for each in rounds:
            each.make_due()
        now = read_again()
        for trouble in now.trouble:
            print_line(f"warning: {trouble}")
        return now.trials

    def over() -> bool:
        return all(each.over() for each in rounds)

    try:
        follow(poll, over, sweep.submissions[-1], options.console(err=as_json))
    except KeyboardInterrupt:
        click.echo(
            f"you left, and the sweep goes on; to look again: {verb_command(f'watch {sweep.name}', sweep.out)}",
            err=True,
        )
        return 130
    if trouble := next((each.trouble for each in rounds if each.trouble), ""):
        raise AblationError(f"{trouble}\nthe jobs go on; {verb_command(f'watch {sweep.name}', sweep.out)} asks again")
    for submission in sweep.submissions:
        for line in backend_of(submission).upload(submission):
            click.echo(f"MLflow: {line}", err=True)
    return show(read_again(), rows=0, as_json=as_json)
