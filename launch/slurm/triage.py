"""Sorts the works of a submission: done, in a job, trained by others, to be tried (again), or given up.

Whether a trial is done or being trained is read from its own files first, whatever SLURM says of its job.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from itertools import takewhile
from pathlib import Path

from ablation.store import attempt
from launch.compose.arm import Work
from launch.slurm import records
from launch.slurm.causes import find_cause, seed_folders
from launch.slurm.job_batches import teachers
from launch.slurm.state import Assignment, SubmissionView
from launch.status import trial_status
from launch.status.retry_policy import HOLD, REFUSED, RESET, RETRY, STOP, Decision, GiveUp, Resources, decide

_MESSAGE_LENGTH = 500  # characters of a message that are kept
_REFUSALS = 3  # in a row, in as many rounds, after which a trial is given up: it may have been a passing trouble
PastDecisions = Mapping[Work, list[Decision]]


@dataclass
class Triage:
    """Each work of a submission is in one of the first six."""

    done: list[Work] = field(default_factory=list)
    in_queue: list[Work] = field(default_factory=list)  # in a job of ours that waits or runs
    owned_by_other: list[Work] = field(default_factory=list)  # trained by a process that is no job of ours
    taken_over: list[Work] = field(default_factory=list)  # a later submission's to look after
    todo: dict[Work, Resources] = field(default_factory=dict)  # in running order
    given_up: dict[Work, str] = field(default_factory=dict)  # will not be tried again, and why
    decisions: list[Decision] = field(default_factory=list)  # that were not known before
    supersede: set[str] = field(default_factory=set)  # our jobs that have ended, whatever their heartbeats say


def reset(view: SubmissionView, again: Collection[str], seen: int | None) -> list[Work]:
    """Let these trials' failures count no more; returns those of which that is so."""
    assignments, wanted = view.assignments, set(again)
    newest = {work: a.number for a in view.arrays if not a.canary for batch in a.batches for work in batch}
    found = [
        work
        for work in view.submission.works
        if (seen is None or newest.get(work, 0) <= seen)
        and wanted & {work.label, *(f"{work.id}/seed-{seed}" for seed in work.seeds)}
    ]
    numbers = {work: assignments[work].array.number if work in assignments else 0 for work in found}
    records.append_decisions(view.submission.folder, [Decision(work, RESET, array=numbers[work]) for work in found])
    return found


def triage(view: SubmissionView, past: PastDecisions, held: str = "") -> Triage:
    """Judge every work, teachers before their students; `held`: why nothing may be started, if a canary failed."""
    found, assignments = Triage(), view.assignments
    for work in view.submission.works:
        _judge(view, assignments.get(work), work, past.get(work, []), held, found)
        if work in found.todo:
            _check_teachers(view, work, found)
    return found


def _judge(
    view: SubmissionView, assignment: Assignment | None, work: Work, past: list[Decision], held: str, found: Triage
) -> None:
    submission = view.submission
    folders = seed_folders(submission, work)
    lease = submission.arms[work.id].config["lease"]
    kinds = {folder: trial_status.of(folder, lease).kind for folder in folders}
    if set(kinds.values()) == {"done"}:
        found.done.append(work)
    elif assignment and view.active(assignment.job):
        found.in_queue.append(work)
    elif work in view.taken_over:
        found.taken_over.append(work)
    elif any((folder / attempt.CANCEL).exists() for folder in folders):
        found.given_up[work] = "cancelled"
    elif any(kind == "running" and not _orphaned(view, folder, found) for folder, kind in kinds.items()):
        found.owned_by_other.append(work)
    elif held:
        _hold(assignment, work, past, held, found)
    elif len(refused := _refusals(past)) >= _REFUSALS:
        found.given_up[work] = f"SLURM refused it {len(refused)} times: {refused[-1].reason}"
    else:
        _try_again(view, assignment, work, past[: len(past) - len(refused)], found)


def _refusals(past: list[Decision]) -> list[Decision]:
    """The last decisions, as far as they are refusals."""
    return list(takewhile(lambda decision: decision.decision == REFUSED, reversed(past)))[::-1]


def _try_again(
    view: SubmissionView, assignment: Assignment | None, work: Work, past: list[Decision], found: Triage
) -> None:
    """Of a work that nobody trains; `past`: what was decided, without refusals since."""
    if assignment is None or (past and past[-1].decision == RESET and past[-1].array == assignment.array.number):
        found.todo[work] = view.options.room
    elif past and past[-1].array == assignment.array.number and past[-1].decision in (STOP, HOLD):
        found.given_up[work] = past[-1].reason
    else:
        _decide(view, assignment, work, past, found)


def _hold(assignment: Assignment | None, work: Work, past: list[Decision], held: str, found: Triage) -> None:
    found.given_up[work] = held
    if not past or (past[-1].decision, past[-1].reason) != (HOLD, held):
        found.decisions.append(Decision(work, HOLD, held, assignment.array.number if assignment else 0))


def _orphaned(view: SubmissionView, folder: Path, found: Triage) -> bool:
    """Whether who trains it is a job of ours that has ended for SLURM: a lost node's, which its successor replaces."""
    owner = attempt.owner(attempt.folder(folder, attempt.latest(folder)))
    if owner is None or owner.job.partition("_")[0] not in {a.job for a in view.arrays} or view.active(owner.job):
        return False
    found.supersede.add(owner.job)
    return True


def _decide(view: SubmissionView, assignment: Assignment, work: Work, past: list[Decision], found: Triage) -> None:
    ended, room = find_cause(view, assignment, work), assignment.array.room
    if ended is None:
        found.todo[work] = room
        return
    failed = ended.failure
    mem = view.ended(assignment.job).mem_mib if room.mem_mib is None else room.mem_mib
    earlier = [v.failure for v in past if v.decision == RETRY and v.array != assignment.array.number]
    decision = decide([*earlier, failed], replace(room, mem_mib=mem), view.options.policy)
    reason, stopped = ended.message[:_MESSAGE_LENGTH], isinstance(decision, GiveUp)
    if isinstance(decision, GiveUp):
        found.given_up[work] = reason = ": ".join(filter(None, [decision.reason, reason]))
    else:
        grown = decision.room.mem_mib != mem  # else the cluster's default stays the cluster's
        found.todo[work] = decision.room if grown else replace(decision.room, mem_mib=room.mem_mib)
    found.decisions.append(
        Decision(
            work,
            STOP if stopped else RETRY,
            reason,
            assignment.array.number,
            failed.cause,
            failed.step,
            failed.node,
            failed.device,
        )
    )


def _check_teachers(view: SubmissionView, work: Work, found: Triage) -> None:
    """A student whose teacher is not to be expected is blocked; one whose teacher others train waits."""
    for teacher in teachers(view.submission, work):
        if teacher in found.given_up:
            found.given_up[work] = "blocked: its teacher is given up"  # which has a line of its own
        elif teacher in found.owned_by_other:
            found.owned_by_other.append(work)
        elif teacher in found.taken_over or teacher.id not in view.submission.arms:
            kinds = {trial_status.of(folder).kind for folder in seed_folders(view.submission, teacher)}
            if "running" in kinds:
                found.owned_by_other.append(work)
            elif kinds != {"done"}:
                whose = "left to a later submission" if teacher in found.taken_over else "not part of this sweep"
                found.given_up[work] = f"blocked: its teacher {teacher.label} is not trained, and {whose}"
        if work in found.given_up or work in found.owned_by_other:
            del found.todo[work]
            return
