"""From works to arrays of jobs: batches of `pack` x `chain`, teachers before students, no array too large.

With `canary=true` an array of probes goes before all; SLURM holds the rest until every probe has succeeded.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from launch.checks import canary
from launch.compose.arm import Work
from launch.slurm import commands, records, sbatch
from launch.slurm.options import SlurmOptions
from launch.slurm.records import LOST
from launch.slurm.state import SubmissionView
from launch.status.retry_policy import Resources
from launch.sweep.submission import Submission

T = TypeVar("T")
Works = tuple[Work, ...]


@dataclass(frozen=True)
class ArrayDraft:
    """An array to be submitted."""

    batches: tuple[Works, ...]
    room: Resources
    stage: int  # 0: waits for nothing that is not done; else for trials of stage - 1


def draft_arrays(
    todo: Mapping[Work, Resources], stages: Mapping[Work, int], options: SlurmOptions, largest: int
) -> list[ArrayDraft]:
    """Arrays for these works, which are in running order: one stage after the other, works of one room together."""
    groups: dict[tuple[int, Resources], list[Work]] = {}
    for work, room in todo.items():
        groups.setdefault((stages[work], room), []).append(work)
    return [
        ArrayDraft(batches, room, stage)
        for (stage, room), works in sorted(groups.items(), key=lambda group: group[0][0])
        for batches in _chunks(list(_chunks(works, room.pack * options.devices * options.chain)), largest)
    ]


def _chunks(items: Sequence[T], size: int) -> Iterator[tuple[T, ...]]:
    for start in range(0, len(items), size):
        yield tuple(items[start : start + size])


def stages(submission: Submission, unfinished: Sequence[Work]) -> dict[Work, int]:
    """How many unfinished trials, one after another, each work has to wait for; `unfinished` is in running order."""
    found: dict[Work, int] = {}
    for work in unfinished:
        found[work] = 1 + max((found[t] for t in teachers(submission, work) if t in found), default=-1)
    return found


def teachers(submission: Submission, work: Work) -> list[Work]:
    """The works that train a work's teachers, one for each seed; those of no arm of this submission are named alike."""
    teacher = submission.arms[work.id].teacher
    if teacher is None:
        return []
    planned = submission.arms.get(teacher)
    by_seed = {seed: other for other in planned.works for seed in other.seeds} if planned else {}
    return list(dict.fromkeys(by_seed.get(seed, Work(teacher, (seed,))) for seed in work.seeds))


@dataclass(frozen=True)
class CanaryState:
    """How a submission's canary stands; nothing of it is set if it wants none, or all is well."""

    missing: bool = False  # it is to be submitted
    waiting: str = ""  # its job, waiting or running
    failure: str = ""  # what went wrong


def canary_state(view: SubmissionView, retried: bool) -> CanaryState:
    """How the newest canary stands; one that failed does not count if a person asked to try again."""
    if not view.options.canary:
        return CanaryState()
    arrays = [a for a in view.arrays if a.canary and a.job != LOST]
    if not arrays:
        return CanaryState(missing=True)
    newest = arrays[-1]
    jobs = [newest.task(index) for index in range(len(newest.batches))]
    if any(view.active(job) for job in jobs):
        return CanaryState(waiting=newest.job)
    failures = [failure for job in jobs if (failure := _probe_failure(view, job))]
    if failures and retried:
        return CanaryState(missing=True)
    return CanaryState(failure=f"held, since a canary failed: {failures[0]}" if failures else "")


def _probe_failure(view: SubmissionView, job: str) -> str:
    """What went wrong in a probe's job; empty if nothing did."""
    folder = view.submission.folder
    if never_ran := sbatch.read_failure(folder, job):
        return never_ran[1]
    ended = records.read_exit(folder, job)
    if ended is None:
        return f"job {job} died without reporting an error" + (
            f"; {words}" if (words := sbatch.last_words(folder, job)) else ""
        )
    failures = [f"{label}: {cause}, {message}" for label, (cause, message) in ended.failed.items()]
    return "; ".join(failures) or (f"job {job} was told to stop" if ended.code else "")


def canary_batches(view: SubmissionView) -> list[Works]:
    """One probe a job, or several if there are more than an array may have tasks."""
    works = canary.works_to_probe(view.submission)
    size = math.ceil(len(works) / commands.max_array_size())
    return [tuple(works[start : start + size]) for start in range(0, len(works), max(1, size))]
