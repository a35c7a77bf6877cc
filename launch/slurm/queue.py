"""What the rest of the launcher asks of a submission on SLURM: which trials are still to come, and to cancel some."""

from __future__ import annotations

from pathlib import Path

from ablation.errors import AblationError
from ablation.store.attempt import CANCEL
from launch.slurm import commands, records
from launch.slurm.causes import seed_folders
from launch.slurm.records import Array
from launch.status.retry_policy import RETRY
from launch.status.sweep_status import Pending
from launch.sweep import submission as sweep
from launch.sweep.submission import Submission


def pending(submission: Submission) -> Pending:
    """What its jobs will start: those in the queue, and those that its keeper is to submit."""
    past = records.read_decisions(submission.folder)
    found = Pending(decisions={(work.id, seed): known[-1] for work, known in past.items() for seed in work.seeds})
    try:
        found.awaited |= trials_in_queue(submission.folder)
        if any(job.active for job in commands.queue([records.job_name(submission, "keeper")]).values()):
            found.awaited |= submission.trials - {key for key, v in found.decisions.items() if v.decision != RETRY}
    except AblationError as e:
        found.trouble.append(f"what SLURM has of {submission.folder} is not known: {e}")
    return found


def trials_in_queue(folder: Path) -> set[tuple[str, int]]:
    """The trials (id, seed) of a submission that are in jobs which wait or run, or will be put back to wait.

    Raises:
        AblationError: SLURM cannot be asked.
    """
    return {
        (work.id, seed)
        for array, tasks in _active_batches(folder)
        for index in tasks
        for work in array.batches[index]
        for seed in work.seeds
    }


def cancel(folder: Path) -> list[str]:
    """Cancel the jobs all of whose trials carry the cancel marker, which is to be written before; returns their ids.

    Jobs that hold other trials too go on: who trains a marked one sees the marker, saves and stops.

    Raises:
        AblationError: SLURM cannot be asked.
    """
    submission = sweep.load(folder)
    jobs = [a.task(k) for a, tasks in _active_batches(folder) for k in tasks if _all_cancelled(submission, a, k)]
    commands.cancel_jobs(jobs)
    return jobs


def _active_batches(folder: Path) -> list[tuple[Array, list[int]]]:
    """Of each array of trials the batches that are in the queue."""
    known = {array.name: array for array in records.read_arrays(folder) if not array.canary}
    found: dict[str, list[int]] = {}
    for job in commands.queue(known).values():
        if job.active:
            found.setdefault(job.name, []).append(int(job.id.partition("_")[2]))
    return [(known[name], sorted(tasks)) for name, tasks in found.items()]


def _all_cancelled(submission: Submission, array: Array, index: int) -> bool:
    folders = [f for work in array.batches[index] for f in seed_folders(submission, work)]
    return all((folder / CANCEL).exists() for folder in folders)
