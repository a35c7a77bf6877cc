"""From works to arrays: batches of `pack` x `chain`, teachers before students, no array too large."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from launch.slurm.options import Options
from launch.status.retry_policy import Room
from launch.sweep.submission import Submission, Work

T = TypeVar("T")
Batch = tuple[Work, ...]


@dataclass(frozen=True)
class Draft:
    """An array to be submitted."""

    batches: tuple[Batch, ...]
    room: Room
    stage: int  # 0: waits for nothing that is not done; else for trials of stage - 1


def cut(todo: Mapping[Work, Room], stages: Mapping[Work, int], options: Options, largest: int) -> list[Draft]:
    """Arrays for these works, which are in running order: one stage after the other, works of one room together."""
    groups: dict[tuple[int, Room], list[Work]] = {}
    for work, room in todo.items():
        groups.setdefault((stages[work], room), []).append(work)
    return [
        Draft(batches, room, stage)
        for (stage, room), works in sorted(groups.items(), key=lambda group: group[0][0])
        for batches in _chunks(list(_chunks(works, room.pack * options.devices * options.chain)), largest)
    ]


def _chunks(items: Sequence[T], size: int) -> Iterator[tuple[T, ...]]:
    for start in range(0, len(items), size):
        yield tuple(items[start : start + size])


def teachers(submission: Submission, work: Work) -> list[Work]:
    """The works that train a work's teachers, one for each seed; those of no arm of this submission are named alike."""
    teacher = submission.arms[work.id].teacher
    if teacher is None:
        return []
    planned = submission.arms.get(teacher)
    by_seed = {seed: other for other in planned.works for seed in other.seeds} if planned else {}
    return list(dict.fromkeys(by_seed.get(seed, Work(teacher, (seed,))) for seed in work.seeds))


def stages(submission: Submission, unfinished: Sequence[Work]) -> dict[Work, int]:
    """How many unfinished trials, one after another, each work has to wait for; `unfinished` is in running order."""
    found: dict[Work, int] = {}
    for work in unfinished:
        found[work] = 1 + max((found[t] for t in teachers(submission, work) if t in found), default=-1)
    return found
