"""`ablation cancel`: stop trials, and keep those that wait from being started."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from ablation.errors import AblationError
from ablation.store.attempt import CANCEL
from launch.backends import backend_of
from launch.cli import options
from launch.cli.selection import SelectedSweep, refuse_what_is_closed
from launch.compose.errors import plural
from launch.status.sweep_status import Trial

_NOT_DONE = ("running", "queued", "new", "stopped", "blocked", "failed")


@click.command()
@options.sweep
@click.option("--yes", is_flag=True, help="Do not ask before several trials are cancelled, as is done on a terminal.")
@options.as_json
def cancel(sweep: SelectedSweep, yes: bool, as_json: bool) -> int:
    """Cancel trials that are not done.

    Those that run save and stop within seconds; those that wait are not started. Nothing is lost: `ablation retry`, or
    the same grid again, goes on from the checkpoints. Without a filter the whole sweep is cancelled.
    """
    chosen = [t for t in sweep.trials if t.state.kind in _NOT_DONE]
    running = sum(t.state.kind == "running" for t in chosen)
    if len(chosen) > 1 and not (yes or as_json) and sys.stdin.isatty() and sys.stdout.isatty():
        click.confirm(f"cancel {plural(len(chosen), 'trial')} of {sweep.name}, {running} of them running?", abort=True)
    refuse_what_is_closed(sweep.out, chosen)
    write_cancel_markers(chosen)
    try:
        jobs = cancel_jobs(sweep)
    except AblationError as e:
        raise AblationError(
            f"{plural(len(chosen), 'trial')} marked as cancelled: those that run save and stop, those that wait end as "
            f"soon as they start. Waiting jobs were not taken back, since {e}; type the same command again to do that"
        ) from e
    strays = stray_jobs(sweep)
    if as_json:
        options.print_json(
            {"sweep": sweep.name, "cancelled": [t.label for t in chosen], "jobs": jobs, "strays": strays}
        )
        return 0
    click.echo(f"cancelled {plural(len(chosen), 'trial')} of {sweep.name}: {running} saving, the others will not start")
    if jobs:
        click.echo(f"taken back: {', '.join(jobs)}")
    if strays:
        click.echo(f"jobs of a deleted sweep of this name are in the queue: `scancel {' '.join(strays)}` ends them")
    return 0


def write_cancel_markers(trials: Sequence[Trial]) -> None:
    """Write the markers that keep trials from being trained."""
    for t in trials:
        t.folder.mkdir(parents=True, exist_ok=True)
        (t.folder / CANCEL).touch()


def cancel_jobs(sweep: SelectedSweep) -> list[str]:
    """Cancel the jobs that have nothing left to do; returns their ids.

    Raises:
        AblationError: SLURM cannot be asked; the markers are there, so that its jobs will stop by themselves.
    """
    return [job for submission in sweep.submissions for job in backend_of(submission).cancel(submission)]


def stray_jobs(sweep: SelectedSweep) -> list[str]:
    """Jobs of this sweep's name and place that no submission knows any more; they are a person's to cancel."""
    last = sweep.submissions[-1]
    return backend_of(last).strays(last)
