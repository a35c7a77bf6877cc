"""Why a trial is not done although its job has ended: by its journal, else by SLURM, else by what its job wrote."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from ablation.machine.faults import on_gpu
from ablation.store import attempt
from ablation.store.journal import tail
from launch.compose.arm import Work
from launch.slurm import records, sbatch
from launch.slurm.jobs import Job
from launch.slurm.state import Assignment, SubmissionView
from launch.status import trial_status
from launch.status.outcome import TrialKey
from launch.status.retry_policy import CAUSES, STOP, AttemptFailure, Decision
from launch.sweep.submission import Submission

_CAUSES = {
    "OUT_OF_MEMORY": "oom",
    "TIMEOUT": "time_limit",
    "DEADLINE": "time_limit",
    "NODE_FAIL": "node",
    "BOOT_FAIL": "node",
    "PREEMPTED": "preempted",
    "CANCELLED": "cancelled",
}
_ENDED_BY_ITSELF = ("FAILED", "COMPLETED")  # in SLURM's view


class Ended(NamedTuple):
    """How an attempt ended, and the message it left."""

    failure: AttemptFailure
    message: str = ""


def find_cause(view: SubmissionView, assignment: Assignment, work: Work) -> Ended | None:
    """What ended a work's attempt in that assignment; None if it never got its turn and could not have."""
    submission, job = view.submission, view.ended(assignment.job)
    written = records.read_exit(submission.folder, assignment.job)
    folder = _unfinished(submission, work)
    now, owner = trial_status.of(folder), attempt.owner(attempt.folder(folder, attempt.latest(folder)))
    started = owner is not None and owner.job == assignment.job
    if now.kind == "failed" and (started or now.time > assignment.array.time):
        cause, step = _valid_cause(now.cause), _checkpoint_step(folder)
        return Ended(AttemptFailure(cause, step, job.node, on_gpu(now.message)), now.message)
    step = _checkpoint_step(folder) if started else 0
    if never_ran := sbatch.read_failure(submission.folder, assignment.job):
        cause, message = never_ran
        return Ended(AttemptFailure(_valid_cause(cause), step, job.node), message)
    if written and work.label in written.failed and job.state not in _CAUSES:
        cause, message = written.failed[work.label]
        return Ended(AttemptFailure(_valid_cause(cause), step, job.node, on_gpu(message)), message)
    if written and work.label not in written.failed and job.state == "OUT_OF_MEMORY":
        job = replace(job, state="FAILED")  # another trial took too much: its job lived on, and left word of that one
    word = written.word if written else ""
    if not started and (word == records.LEFT or _other_works_advanced(submission, assignment, work)):
        return None
    cause, message = _cause_by_slurm(job, word), ""
    if cause == "killed" and not written:
        words = sbatch.last_words(submission.folder, assignment.job)
        told = [sbatch.last_outcome(submission.folder, assignment.job, f"{work.id}/seed-{s}") for s in work.seeds]
        if records.NOT_KEPT in words or any(text.startswith("failed disk ") for text in told):
            cause, message = "disk", words
        elif not _began(submission, assignment):  # SLURM itself could not start it
            cause, message = "node", words
    return Ended(AttemptFailure(cause, step, job.node), message)


def never_ran(submission: Submission) -> dict[TrialKey, Decision]:
    """Of trials whose newest job did not get as far as Python, and of which no round has decided yet, what went wrong.

    Its keeper may have failed in the same way, so that nobody makes a round before somebody looks.
    """
    past, found = records.read_decisions(submission.folder), dict[TrialKey, Decision]()
    arrays = [
        array for array in records.read_arrays(submission.folder) if not array.canary and array.job != records.LOST
    ]
    newest = {work: (array, k) for array in arrays for k, batch in enumerate(array.batches) for work in batch}
    for work, (array, k) in newest.items():
        failure = sbatch.read_failure(submission.folder, array.task(k))
        if failure and not any(decision.array == array.number for decision in past.get(work, [])):
            cause, message = failure
            decision = Decision(work, STOP, message, array.number, cause)
            found |= {(work.id, seed): decision for seed in work.seeds}
    return found


def _cause_by_slurm(job: Job, word: str) -> str:
    if job.state in _CAUSES:
        return _CAUSES[job.state]
    if word == "SIGUSR2":
        return "time_limit"
    if word == "SIGTERM":  # nobody cancelled it, so it was preempted, and gone before its grace time was over
        return "preempted" if job.state in _ENDED_BY_ITSELF else "stopped"
    return "killed"


def _valid_cause(cause: str) -> str:
    return cause if cause in CAUSES else "error"


def _unfinished(submission: Submission, work: Work) -> Path:
    return next(f for f in seed_folders(submission, work) if trial_status.of(f).kind != "done")


def _checkpoint_step(folder: Path) -> int:
    """Of the newest checkpoint: the attempt's own, or the one it began from."""
    events = tail(attempt.folder(folder, attempt.latest(folder)))
    return max((e["step"] for e in events if e["event"] in ("start", "saved")), default=0)


def _began(submission: Submission, assignment: Assignment) -> bool:
    """Whether the job got as far as to train anything."""
    folders = [f for work in assignment.array.batches[assignment.index] for f in seed_folders(submission, work)]
    owners = [attempt.owner(attempt.folder(folder, attempt.latest(folder))) for folder in folders]
    return any(owner is not None and owner.job == assignment.job for owner in owners)


def _other_works_advanced(submission: Submission, assignment: Assignment, work: Work) -> bool:
    """Whether the job got on with any other work of the batch."""
    others = [f for w in assignment.array.batches[assignment.index] if w != work for f in seed_folders(submission, w)]
    for folder in others:
        owner = attempt.owner(attempt.folder(folder, attempt.latest(folder)))
        if (
            owner
            and owner.job == assignment.job
            and (trial_status.of(folder).kind == "done" or _checkpoint_step(folder) > 0)
        ):
            return True
    return False


def seed_folders(submission: Submission, work: Work) -> list[Path]:
    """Where a work's trials lie."""
    return [submission.out / work.id / f"seed-{seed}" for seed in work.seeds]
