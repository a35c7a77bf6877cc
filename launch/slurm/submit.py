"""`hydra/launcher=slurm`: hand a sweep to the cluster and leave, or wait for it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from launch.checks import no_effect
from launch.compose import warnings
from launch.slurm import options, sbatch, tell
from launch.slurm.round import perform
from launch.slurm.wait import wait
from launch.status.outcome import Outcome, Trial
from launch.sweep import edits, provenance, upload
from launch.sweep import submission as sweep
from launch.sweep.submission import Planned


def run(planned: Sequence[Planned], node: Mapping[str, Any], command: str) -> Mapping[Trial, Outcome]:
    """Freeze the sweep and make its first round. With `wait`, all later rounds as well; returns what became of it then.

    Raises:
        ConfigError: an option that cannot be; nothing is written.
        AblationError: SLURM refuses, or is not there.
    """
    chosen = options.read(node)
    found = no_effect.check(planned, chosen.check)
    submission = sweep.create(planned, node, command)
    print(f"sweep {submission.name}, submission {submission.number}: {submission.folder}")
    dropped = sorted(set(os.environ) - set(sbatch.clean_environment(os.environ)))
    if dropped:
        print(f"note: not passed on to the jobs: {', '.join(dropped)}; what jobs ask for is hydra.launcher.resources")
    said = [*chosen.notes, *warnings.together(planned), *edits.notes(planned), *found.notes]
    for note in [*said, *provenance.notes()]:
        print(f"note: {note}")
    report = perform(submission.folder)
    print("\n".join(tell.lines(report)))
    if not chosen.wait:
        print("\n".join(tell.farewell(submission)), flush=True)
    upload.tell(submission.out, submission.news)
    return wait(submission) if chosen.wait else {}
