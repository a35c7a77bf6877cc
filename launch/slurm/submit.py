"""`hydra/launcher=slurm`: hand a sweep to the cluster and leave it there, or with `wait=true` show it until it is over.

While it waits, the live table is fed from the trials' files, and this process makes the rounds that the sweep needs.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from ablation.errors import AblationError, Stopped
from launch.backends import pending
from launch.checks import no_effect
from launch.compose import warnings
from launch.compose.arm import Planned
from launch.slurm import backend, options, sbatch
from launch.slurm.backend import strays
from launch.slurm.rounds import Rounds, make_rounds, next_commands, report_lines
from launch.slurm.state import later_submissions
from launch.status.outcome import Outcome, TrialKey
from launch.status.sweep_status import Pending, Trial, sweep_status
from launch.sweep import edited_code, provenance, upload
from launch.sweep import submission as sweep
from launch.sweep.submission import Submission
from launch.terminal import summary
from launch.terminal.follow import OncePrinter, follow
from launch.terminal.sweep_progress import Progress


def run(planned: Sequence[Planned], node: Mapping[str, Any], command: str) -> Mapping[TrialKey, Outcome] | int:
    """Freeze the sweep and make its first round. With `wait`, all later rounds as well; returns what became of it then.

    Without, it returns nothing, or the exit code 1 if SLURM took only some of the jobs.

    Raises:
        ConfigError: an option that cannot be, and nothing is written; or SLURM takes none of the jobs.
        AblationError: SLURM is not there, or does not answer.
    """
    chosen = options.read(node)
    sbatch.check_out(Path(planned[0].config["out"]).resolve())
    found = no_effect.check(planned, chosen.check)
    submission = sweep.create(planned, node, command)
    print(f"sweep {submission.name}, submission {submission.number}: {submission.folder}")
    notes = [
        *_dropped_notes(),
        *chosen.notes,
        *warnings.sweep_notes(planned),
        *edited_code.notes(planned),
        *found.notes,
    ]
    for note in [*notes, *provenance.notes()]:
        print(f"note: {note}")
    reports = []
    try:
        for folder, report in make_rounds(submission.folder):
            if folder != submission.folder:
                print(f"submission {folder.name}, typed meanwhile, asks for the same:")
            print("\n".join(report_lines(report)), flush=True)
            reports.append(report)
    except KeyboardInterrupt as e:
        lines = [
            "stopped while the sweep was being submitted; jobs that SLURM has taken go on",
            *next_commands(submission),
        ]
        raise Stopped("\n".join(lines)) from e
    for note in _stray_notes(submission):
        print(note, flush=True)
    for report in reports:
        report.require_accepted()
    if not chosen.wait:
        print("\n".join(next_commands(submission)), flush=True)
    upload.upload_news(submission.out, submission.news)
    if chosen.wait:
        return wait_for_end(submission)
    return 1 if any(report.refused for report in reports) else {}


def _dropped_notes() -> list[str]:
    """Of variables that jobs do not get. What SLURM itself has set in an allocation is only counted."""
    dropped = sorted(set(os.environ) - set(sbatch.clean_environment(os.environ)))
    if not dropped:
        return []
    chosen = [name for name in dropped if not name.startswith("SLURM_")]
    of_slurm = len(dropped) - len(chosen)
    named = ", ".join([*chosen, *([f"{of_slurm} of SLURM's own"] if of_slurm else [])])
    return [f"variables that are not passed on to the jobs: {named}; what jobs ask for is in hydra.launcher.resources"]


def _stray_notes(submission: Submission) -> list[str]:
    """Of jobs that wait although their submission's folder was deleted."""
    try:
        found = strays(submission)
    except AblationError:  # SLURM has just taken jobs; what it does not tell now is no trouble of this sweep
        return []
    if not found:
        return []
    return [f"note: jobs of a deleted sweep {submission.name} are in the queue; `scancel {' '.join(found)}` ends them"]


def wait_for_end(submission: Submission) -> dict[TrialKey, Outcome]:
    """Show the sweep until nothing more will happen; returns what became of each trial.

    Raises:
        Stopped: on Ctrl-C; the jobs go on.
        AblationError: SLURM could not be asked for minutes; the jobs go on.
    """
    console = Console(highlight=False)
    print_line = OncePrinter(lambda text: console.print(text, markup=False, soft_wrap=True))
    rounds = Rounds([submission], print_line)

    def ask() -> Pending:
        return pending([submission, *later_submissions(submission)])()

    def poll() -> Sequence[Trial]:
        rounds.make_due()
        now = sweep_status([submission], ask)
        for trouble in now.trouble:
            print_line(f"warning: {trouble}")
        return now.trials

    try:
        follow(poll, rounds.over, submission, console)
    except KeyboardInterrupt as e:
        lines = ["the sweep is left to the cluster: its jobs go on", *next_commands(submission)]
        raise Stopped("\n".join(lines)) from e
    if rounds.trouble:
        raise AblationError("\n".join([rounds.trouble, "its jobs go on", *next_commands(submission)]))
    for line in backend.upload(submission):
        console.print(f"MLflow: {line}", markup=False, soft_wrap=True)
    progress, trials = Progress(submission, 1), sweep_status([submission], ask).trials
    outcomes = {(t.planned.arm.id, t.seed): _outcome(t) for t in trials}
    for (id_, seed), outcome in outcomes.items():
        progress.rows[id_].outcomes[seed] = outcome
    summary.show(submission, progress, console, own_since=submission.time)
    return outcomes


def _outcome(t: Trial) -> Outcome:
    kind = "stopped" if t.state.kind in ("new", "queued", "running") else t.state.kind
    return Outcome(kind, t.state.cause, t.state.message, t.state.test_acc)
