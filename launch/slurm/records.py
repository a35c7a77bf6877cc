"""What is kept between rounds in a submission's folder, so that whoever makes the next one knows as much as the last.

- `arrays/<n>.json`: which trials were handed to SLURM in which job, one file an array. It is written before sbatch is
  called (the intent) and again when the job's number is known. The jobs read their part of it.
- `keeper.json`: the newest keeper's job, written in the same two steps.
- `verdicts.jsonl`: why trials that are not done were tried again or not, one line a decision.
- `marks/<job>`: how a job ended, which its trials' own files do not say.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

from ablation.store.atomic import write_atomic
from ablation.store.file_errors import naming
from launch.compose.arm import Work
from launch.slurm.jobs import JobKey
from launch.status.retry_policy import RESET, Decision, Resources
from launch.sweep.submission import Submission, Unreadable

LOST = "lost"  # the job number of an array that SLURM refused, or does not know
NOT_KEPT = "how this job ended is not kept"  # with what the disk said, in the log of a job that could not write it
LEFT = "left"  # not by a signal: others train what is left, or its teachers are not done
_ARRAYS = "arrays"
_KEEPER = "keeper.json"
_DECISIONS = "verdicts.jsonl"
_EXITS = "marks"


@dataclass(frozen=True)
class Array:
    """One job array; task k runs the k-th batch."""

    number: int
    name: str  # of the job, unique: an array is found again by it if sbatch fails after accepting
    batches: tuple[tuple[Work, ...], ...]
    room: Resources = field(default_factory=Resources)
    supersede: tuple[str, ...] = ()  # jobs that are known to have ended, whatever their heartbeats say
    job: str = ""  # SLURM's number; empty: not yet known
    time: float = 0.0  # when sbatch was called, seconds since 1970
    canary: bool = False  # probes of shapes instead of trials

    @property
    def key(self) -> JobKey:
        """By which SLURM is asked for its jobs."""
        return JobKey(self.name, "" if self.job == LOST else self.job)

    def task(self, index: int) -> str:
        """The job of one batch, as SLURM calls it."""
        return f"{self.job}_{index}"


def new_job_name(submission: Submission, what: str) -> str:
    """A name for one job or array: readable, and no other job's, now or later, for its end is random."""
    return f"{name_prefix(submission)}{submission.number}-{what}-{uuid4().hex[:12]}"


def name_prefix(submission: Submission) -> str:
    """With what the names of all jobs of a sweep at this place begin; plain, since commands take lists of names."""
    place = sha256(str(submission.folder.parent).encode()).hexdigest()[:8]
    sweep = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in submission.name)[:40]
    return f"ablation-{sweep}-{place}-"


def write_keeper(folder: Path, keeper: JobKey) -> None:
    """Write which job is the keeper, atomically."""
    write_atomic(folder / _KEEPER, json.dumps(asdict(keeper)).encode())


def read_keeper(submission: Submission) -> JobKey:
    """The newest keeper's job, if there ever was one. In older folders it has no record, and a name without a token.

    Of a record that is damaged nothing is known: then there is no keeper.
    """
    try:
        return JobKey(**json.loads((submission.folder / _KEEPER).read_bytes()))
    except (ValueError, TypeError):
        return JobKey(f"{name_prefix(submission)}{submission.number}-keeper-unknown")
    except FileNotFoundError:
        place = sha256(str(submission.folder).encode()).hexdigest()[:8]
        sweep = "".join(c if c.isalnum() or c in "-_" else "_" for c in submission.name)[:40]
        return JobKey(f"ablation-{sweep}-{submission.number}-keeper-{place}")


def write_array(folder: Path, array: Array) -> None:
    """Write one array's file, atomically."""
    path = _path(folder, array.number)
    path.parent.mkdir(exist_ok=True)
    write_atomic(path, json.dumps({**asdict(array), "batches": _plain(array.batches)}).encode())


def delete_array(folder: Path, number: int) -> None:
    """Take back an array that SLURM has refused."""
    _path(folder, number).unlink()


def read_array(folder: Path, number: int) -> Array:
    """One array.

    Raises:
        Unreadable: its file is damaged.
        FileNotFoundError: there is none.
    """
    path = _path(folder, number)
    try:
        content = json.loads(path.read_bytes())
        batches = tuple(tuple(Work(id_, tuple(seeds)) for id_, seeds in batch) for batch in content["batches"])
        room = content["room"]
        return Array(
            **{
                **content,
                "batches": batches,
                "room": Resources(**{**room, "exclude": tuple(room["exclude"])}),
                "supersede": tuple(content["supersede"]),
            }
        )
    except (ValueError, TypeError, KeyError) as e:
        raise Unreadable(
            f"{path}: is damaged ({type(e).__name__}: {e}), so that it is not known which trials its job has; cancel "
            "that job if it waits or runs, remove the file, and `ablation retry` submits what is not done"
        ) from e


def read_arrays(folder: Path) -> list[Array]:
    """Every array of a submission, oldest first."""
    return [read_array(folder, number) for number in array_numbers(folder)]


def array_numbers(folder: Path) -> list[int]:
    """The numbers of a submission's arrays, in order."""
    return sorted(int(path.stem) for path in (folder / _ARRAYS).glob("*.json"))


def _path(folder: Path, number: int) -> Path:
    return folder / _ARRAYS / f"{number}.json"


def _plain(batches: Sequence[Sequence[Work]]) -> list[Any]:
    return [[[work.id, list(work.seeds)] for work in batch] for batch in batches]


def append_decisions(folder: Path, decisions: Iterable[Decision]) -> None:
    """Add decisions to the file; on disk when this returns. The caller holds the submission's lock."""
    now = round(time.time(), 3)
    lines = [json.dumps({**asdict(v), "work": [v.work.id, list(v.work.seeds)], "time": now}) for v in decisions]
    if not lines:
        return
    with naming(folder / _DECISIONS), (folder / _DECISIONS).open("a") as file:
        file.write("\n" + "\n".join(lines) + "\n")  # an empty line first: the last one may be torn
        file.flush()
        os.fsync(file.fileno())


def read_decisions(folder: Path) -> dict[Work, list[Decision]]:
    """Of each work since a person last had it tried again (that included), one an array, oldest first."""
    try:
        lines = (folder / _DECISIONS).read_text().splitlines()
    except FileNotFoundError:
        return {}
    found: dict[Work, dict[int, Decision]] = {}
    for line in lines:
        decision = _decision(line)
        if decision is None:
            continue
        if decision.decision == RESET:
            found[decision.work] = {}
        found.setdefault(decision.work, {})[decision.array] = decision
    return {work: [of[n] for n in sorted(of)] for work, of in found.items()}


def _decision(line: str) -> Decision | None:
    try:
        content = json.loads(line)
        id_, seeds = content.pop("work")
        return Decision(Work(id_, tuple(seeds)), **content)
    except (ValueError, TypeError, KeyError, AttributeError, IndexError):  # empty, torn by a kill, or damaged
        return None


@dataclass(frozen=True)
class JobExit:
    """How a job ended."""

    word: str = ""  # the signal that made it stop, or LEFT
    code: int = 0  # exit code
    failed: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # by work: cause and message


def write_exit(folder: Path, job: str, ended: JobExit) -> None:
    """Write how a job ended; the job itself does so, last."""
    path = folder / _EXITS / job
    path.parent.mkdir(exist_ok=True)
    write_atomic(path, json.dumps(asdict(ended)).encode())


def forget_exit(folder: Path, job: str) -> None:
    """Forget how a job ended that begins again: it was put back into the queue."""
    with suppress(OSError):  # where nothing can be removed, nothing is trained either
        (folder / _EXITS / job).unlink(missing_ok=True)


def read_exit(folder: Path, job: str) -> JobExit | None:
    """How a job ended; None if it did not get to write it."""
    try:
        return JobExit(**json.loads((folder / _EXITS / job).read_bytes()))
    except FileNotFoundError:
        return None
