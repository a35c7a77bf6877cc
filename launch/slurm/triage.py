"""One look at every trial of a sweep: done, being trained, to be tried (again), or given up. By its files first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ablation.store import attempt
from launch.compose.arm import Work
from launch.slurm.batches import teachers
from launch.slurm.causes import failure, seed_folders
from launch.slurm.view import Assignment, SubmissionView
from launch.status import trial_status
from launch.status.retry_policy import HOLD, RESET, RETRY, STOP, Decision, GiveUp, Resources, decide

_WORDS = 500  # characters of a message that are kept
Past = Mapping[Work, list[Decision]]


@dataclass
class Triage:
    """Every work of a submission is in one of the first five."""

    done: list[Work] = field(default_factory=list)
    flying: list[Work] = field(default_factory=list)  # in a job that waits or runs
    elsewhere: list[Work] = field(default_factory=list)  # trained by somebody else
    todo: dict[Work, Resources] = field(default_factory=dict)  # in running order
    given_up: dict[Work, str] = field(default_factory=dict)  # and why
    verdicts: list[Decision] = field(default_factory=list)  # that were not known before
    supersede: set[str] = field(default_factory=set)  # our jobs that have ended, whatever their heartbeats say


def triage(view: SubmissionView, past: Past, held: str = "") -> Triage:
    """Judge every work, teachers before their students; `held`: why nothing may be started, if a canary failed."""
    found, places = Triage(), view.places
    for work in view.submission.works:
        _judge(view, places.get(work), work, past.get(work, []), held, found)
        if work in found.todo:
            _ask_teachers(view, work, found)
    return found


def _judge(
    view: SubmissionView, place: Assignment | None, work: Work, past: list[Decision], held: str, found: Triage
) -> None:
    submission = view.submission
    folders = seed_folders(submission, work)
    lease = submission.arms[work.id].config["lease"]
    kinds = {folder: trial_status.of(folder, lease).kind for folder in folders}
    if set(kinds.values()) == {"done"}:
        found.done.append(work)
    elif place and view.active(place.job):
        found.flying.append(work)
    elif work in view.taken_over:
        found.given_up[work] = "asked for again by a later submission"
    elif any((folder / attempt.CANCEL).exists() for folder in folders):
        found.given_up[work] = "cancelled"
    elif any(kind == "running" and not _orphaned(view, folder, found) for folder, kind in kinds.items()):
        found.elsewhere.append(work)
    elif held:
        _hold(place, work, past, held, found)
    elif place is None or (past and past[-1].decision == RESET and past[-1].array == place.array.number):
        found.todo[work] = view.options.room
    elif past and past[-1].array == place.array.number and past[-1].decision in (STOP, HOLD):
        found.given_up[work] = past[-1].reason
    else:
        _decide(view, place, work, past, found)


def _hold(place: Assignment | None, work: Work, past: list[Decision], held: str, found: Triage) -> None:
    found.given_up[work] = held
    if not past or (past[-1].decision, past[-1].reason) != (HOLD, held):
        found.verdicts.append(Decision(work, HOLD, held, place.array.number if place else 0))


def _orphaned(view: SubmissionView, folder: Path, found: Triage) -> bool:
    """Whether who trains it is a job of ours that SLURM has given up: a lost node's, which its successor replaces."""
    owner = attempt.owner(attempt.folder(folder, attempt.latest(folder)))
    if owner is None or owner.job.partition("_")[0] not in {a.job for a in view.arrays} or view.active(owner.job):
        return False
    found.supersede.add(owner.job)
    return True


def _decide(view: SubmissionView, place: Assignment, work: Work, past: list[Decision], found: Triage) -> None:
    ended, room = failure(view, place, work), place.array.room
    if ended is None:
        found.todo[work] = room
        return
    failed = ended.failure
    if room.mem_mib is None:
        room = replace(room, mem_mib=view.ended(place.job).mem_mib)
    earlier = [v.failure for v in past if v.decision == RETRY and v.array != place.array.number]
    decision = decide([*earlier, failed], room, view.options.policy)
    reason = ": ".join(filter(None, [decision.reason, ended.message[:_WORDS]])) if isinstance(decision, GiveUp) else ""
    verdict = Decision(
        work,
        STOP if reason else RETRY,
        reason,
        place.array.number,
        failed.cause,
        failed.step,
        failed.node,
        failed.device,
    )
    found.verdicts.append(verdict)
    if isinstance(decision, GiveUp):
        found.given_up[work] = reason
    else:
        found.todo[work] = decision.room


def _ask_teachers(view: SubmissionView, work: Work, found: Triage) -> None:
    """A student whose teacher is not to be expected is blocked; one whose teacher is trained elsewhere waits."""
    for teacher in teachers(view.submission, work):
        if teacher in found.given_up:
            found.given_up[work] = f"blocked: its teacher {teacher.label} is given up ({found.given_up[teacher]})"
        elif teacher in found.elsewhere:
            found.elsewhere.append(work)
        elif teacher.id not in view.submission.arms:
            kinds = {trial_status.of(folder).kind for folder in seed_folders(view.submission, teacher)}
            if "running" in kinds:
                found.elsewhere.append(work)
            elif kinds != {"done"}:
                found.given_up[work] = (
                    f"blocked: its teacher {teacher.label} is not trained, and not part of this sweep"
                )
        if work in found.given_up or work in found.elsewhere:
            del found.todo[work]
            return
