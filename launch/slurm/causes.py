"""Why a trial is not done although its job has ended: by its journal, else by SLURM, else by the job's last words."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ablation.machine.faults import on_gpu
from ablation.store import attempt
from ablation.store.journal import tail
from launch.compose.arm import Work
from launch.slurm import store
from launch.slurm.commands import Job
from launch.slurm.view import Assignment, SubmissionView
from launch.status import trial_status
from launch.status.retry_policy import CAUSES, AttemptFailure
from launch.sweep.submission import Submission

_STATES = {
    "OUT_OF_MEMORY": "oom",
    "TIMEOUT": "time_limit",
    "DEADLINE": "time_limit",
    "NODE_FAIL": "node",
    "BOOT_FAIL": "node",
    "PREEMPTED": "preempted",
    "CANCELLED": "cancelled",
}
_ENDED_ITSELF = ("FAILED", "COMPLETED")  # in SLURM's view


class Ended(NamedTuple):
    """Why, and in whose words."""

    failure: AttemptFailure
    message: str = ""


def failure(view: SubmissionView, place: Assignment, work: Work) -> Ended | None:
    """What ended a work's attempt in that place; None if it never got its turn and could not have."""
    submission, job, left = view.submission, view.ended(place.job), store.read_exit(view.submission.folder, place.job)
    folder = _unfinished(submission, work)
    now, owner = trial_status.of(folder), attempt.owner(attempt.folder(folder, attempt.latest(folder)))
    started = owner is not None and owner.job == place.job
    if now.kind == "failed" and (started or now.time > place.array.time):
        return Ended(AttemptFailure(_known(now.cause), _step(folder), job.node, on_gpu(now.message)), now.message)
    step = _step(folder) if started else 0
    if left and work.label in left.failed and job.state not in _STATES:
        cause, message = left.failed[work.label]
        return Ended(AttemptFailure(_known(cause), step, job.node, on_gpu(message)), message)
    word = left.word if left else ""
    if not started and (word == store.LEFT or _of_use(submission, place, work)):
        return None
    return Ended(AttemptFailure(_told(job, word), step, job.node))


def _told(job: Job, word: str) -> str:
    if job.state in _STATES:
        return _STATES[job.state]
    if word == "SIGUSR2":
        return "time_limit"
    if word == "SIGTERM":  # nobody cancelled it, so it was preempted, and gone before its grace time was over
        return "preempted" if job.state in _ENDED_ITSELF else "stopped"
    return "killed"


def _known(cause: str) -> str:
    return cause if cause in CAUSES else "error"


def seed_folders(submission: Submission, work: Work) -> list[Path]:
    """Where a work's trials lie."""
    return [submission.out / work.id / f"seed-{seed}" for seed in work.seeds]


def _unfinished(submission: Submission, work: Work) -> Path:
    return next(f for f in seed_folders(submission, work) if trial_status.of(f).kind != "done")


def _step(folder: Path) -> int:
    """Of the newest checkpoint: the attempt's own, or the one it began from."""
    events = tail(attempt.folder(folder, attempt.latest(folder)))
    return max((e["step"] for e in events if e["event"] in ("start", "saved")), default=0)


def _of_use(submission: Submission, place: Assignment, work: Work) -> bool:
    """Whether the job got on with any other work of the batch."""
    others = [f for w in place.array.batches[place.index] if w != work for f in seed_folders(submission, w)]
    for folder in others:
        owner = attempt.owner(attempt.folder(folder, attempt.latest(folder)))
        if owner and owner.job == place.job and (trial_status.of(folder).kind == "done" or _step(folder) > 0):
            return True
    return False
