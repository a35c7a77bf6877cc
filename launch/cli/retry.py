"""`ablation retry`: run again what is not done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from ablation.store.attempt import CANCEL
from launch.cli import options
from launch.cli.selection import SelectedSweep, refuse_what_is_closed
from launch.slurm.rounds import make_round, newest_array, next_commands, report_lines
from launch.status import outcome
from launch.status.sweep_status import Trial
from launch.sweep.submission import Submission
from launch.workers import local
from launch.workers.driver import refuse_if_driven

_STOPPED = 130  # exit code
_AGAIN = ("failed", "stopped", "cancelled", "blocked", "new")


@click.command()
@options.sweep
@click.option("--stale", is_flag=True, help="Also arms that a later submission replaced by others of the same names.")
@options.as_json
def retry(sweep: SelectedSweep, stale: bool, as_json: bool) -> int:
    """Run again what failed, stopped, was cancelled or never started.

    Trials keep the configuration and code of their submission, whatever was edited since, and go on from their
    checkpoints. On SLURM they are submitted, and the policy counts anew; otherwise they are trained here and now.
    Choose some with the filters, such as --state failed.
    """
    seen = {s.folder: newest_array(s.folder) for s in sweep.submissions if s.launcher.get("kind") == "slurm"}
    chosen = [t for t in sweep.trials if t.state.kind in _AGAIN and (stale or not t.stale)]
    by_submission = _by_submission(sweep.submissions, chosen)
    for submission in by_submission:
        refuse_if_driven(sweep.submissions[submission])
    refuse_what_is_closed(sweep.out, chosen)
    for t in chosen:
        (t.folder / CANCEL).unlink(missing_ok=True)
    facts: dict[str, Any] = {
        "sweep": sweep.name,
        "retried": [t.label for t in chosen],
        "jobs": [],
        "refused": {},
        "outcomes": {},
    }
    codes = [0]
    for n, trials in by_submission.items():
        codes.append(_run(sweep.submissions[n], trials, seen, facts, as_json))
        if codes[-1] == _STOPPED:  # by Ctrl-C, which means all of it
            break
    if as_json:
        options.print_json(facts)
    elif not chosen:
        click.echo(f"nothing to retry: all trials of {sweep.name} that were chosen are done or on their way")
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


def _run(
    submission: Submission, trials: Sequence[Trial], seen: Mapping[Path, int], facts: dict[str, Any], as_json: bool
) -> int:
    """Where its submission ran; adds to the facts, returns the exit code. `seen`: its newest array of jobs before."""
    if submission.launcher.get("kind") == "slurm":
        report = make_round(submission.folder, again=[t.label for t in trials], seen=seen[submission.folder])
        facts["jobs"] += report.jobs
        facts["refused"] |= report.refused
        if not as_json:
            click.echo("\n".join(report_lines(report)))
        report.require_accepted()
        if not as_json:
            click.echo("\n".join(next_commands(submission)))
        return 1 if report.refused else 0
    outcomes = local.resume(submission, trials, options.console(err=as_json))
    facts["outcomes"] |= {f"{id_}/seed-{seed}": vars(o) for (id_, seed), o in outcomes.items()}
    return outcome.exit_code(outcomes)
