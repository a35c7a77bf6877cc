"""`ablation retry`: run again what is not done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from ablation.store.attempt import CANCEL
from launch.backends import backend_of
from launch.cli import options
from launch.cli.selection import SelectedSweep, refuse_what_is_closed
from launch.compose.errors import plural
from launch.status.sweep_status import Trial
from launch.sweep.submission import Submission
from launch.workers.driver import refuse_if_driven

_STOPPED = 130  # exit code
_AGAIN = ("failed", "stopped", "cancelled", "blocked", "new")


@click.command()
@options.sweep
@click.option(
    "--stale", is_flag=True, help="Also stale arms: those whose commands gave other arms in a later submission."
)
@options.as_json
def retry(sweep: SelectedSweep, stale: bool, as_json: bool) -> int:
    """Run again what failed, stopped, was cancelled or never started.

    Trials keep the configuration and code of their submission, whatever was edited since, and go on from their
    checkpoints. On SLURM they are submitted, and the policy counts anew; otherwise they are trained here and now.
    Choose some with the filters, such as --state failed.
    """
    chosen = [t for t in sweep.trials if t.state.kind in _AGAIN and (stale or not t.stale)]
    by_submission = _by_submission(sweep.submissions, chosen)
    for n in by_submission:
        refuse_if_driven(sweep.submissions[n])
    refuse_what_is_closed(sweep.out, chosen)
    for t in chosen:
        (t.folder / CANCEL).unlink(missing_ok=True)
    facts: dict[str, Any] = {
        "sweep": sweep.name,
        "retried": [],
        "others": [],  # that somebody else has tried again meanwhile
        "jobs": [],
        "refused": {},
        "outcomes": {},
    }
    codes = [0]
    for n, trials in by_submission.items():
        submission = sweep.submissions[n]
        done = backend_of(submission).retry(submission, trials, sweep.newest[n], options.console(err=as_json))
        facts["retried"] += [t.label for t in trials if t.label not in done.others]
        facts["others"] += done.others
        facts["jobs"] += done.jobs
        facts["refused"] |= done.refused
        facts["outcomes"] |= {f"{id_}/seed-{seed}": vars(o) for (id_, seed), o in done.outcomes.items()}
        codes.append(done.code)
        if codes[-1] == _STOPPED:  # by Ctrl-C, which means all of it
            break
    if as_json:
        options.print_json(facts)
    elif facts["others"]:
        many = f"{len(facts['others'])} of {plural(len(chosen), 'trial')}"
        click.echo(f"{many}: taken up meanwhile by another retry or a round of the sweep, and so not by this one")
    elif not chosen:
        why = f"all trials of {sweep.name} that were chosen are done or on their way"
        click.echo(f"nothing to retry: {why if sweep.trials else f'no trial of {sweep.name} is so'}")
    options.print_warnings(sweep.trouble)
    return max(codes)


def _by_submission(submissions: Sequence[Submission], trials: Sequence[Trial]) -> dict[int, list[Trial]]:
    """Each trial to the newest submission that asked for it, by that one's place in the list."""
    found: dict[int, list[Trial]] = {}
    for t in trials:
        id_ = t.planned.arm.id
        asking = [n for n, s in enumerate(submissions) if id_ in s.arms and t.seed in s.arms[id_].seeds]
        found.setdefault(asking[-1], []).append(t)
    return found
