"""The arrays of a submission: which trials were handed to SLURM in which job, one file an array.

`<submission>/arrays/<n>.json` is written before sbatch is called (the intent) and again when the job's number is
known. The jobs read their part of it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from ablation.store.atomic import write_atomic
from launch.status.retry_policy import Room
from launch.sweep.submission import Submission, Work

_FOLDER = "arrays"
LOST = "lost"  # the job number of an array that SLURM does not know


@dataclass(frozen=True)
class Array:
    """One job array; task k runs the k-th batch."""

    number: int
    name: str  # of the job, unique: an array is found again by it if sbatch fails after accepting
    batches: tuple[tuple[Work, ...], ...]
    room: Room = field(default_factory=Room)
    supersede: tuple[str, ...] = ()  # jobs that are known to have ended, whatever their heartbeats say
    job: str = ""  # SLURM's number; empty: not yet known
    time: float = 0.0  # when sbatch was called, seconds since 1970
    canary: bool = False  # probes of shapes instead of trials

    def task(self, index: int) -> str:
        """The job of one batch, as SLURM calls it."""
        return f"{self.job}_{index}"


def name(submission: Submission, what: str) -> str:
    """A job's name: readable, unique on the cluster, and plain, since commands take lists of names."""
    place = sha256(str(submission.folder).encode()).hexdigest()[:8]
    sweep = "".join(c if c.isalnum() or c in "-_" else "_" for c in submission.name)[:40]
    return f"ablation-{sweep}-{submission.number}-{what}-{place}"


def write(folder: Path, array: Array) -> None:
    """Write one array's file, atomically."""
    path = _path(folder, array.number)
    path.parent.mkdir(exist_ok=True)
    write_atomic(path, json.dumps({**asdict(array), "batches": _plain(array.batches)}).encode())


def forget(folder: Path, number: int) -> None:
    """Take back an array that SLURM has refused."""
    _path(folder, number).unlink()


def read(folder: Path, number: int) -> Array:
    """One array."""
    content = json.loads(_path(folder, number).read_bytes())
    batches = tuple(tuple(Work(id_, tuple(seeds)) for id_, seeds in batch) for batch in content["batches"])
    room = content["room"]
    return Array(
        **{
            **content,
            "batches": batches,
            "room": Room(**{**room, "exclude": tuple(room["exclude"])}),
            "supersede": tuple(content["supersede"]),
        }
    )


def read_all(folder: Path) -> list[Array]:
    """Every array of a submission, oldest first."""
    numbers = sorted(int(path.stem) for path in (folder / _FOLDER).glob("*.json"))
    return [read(folder, number) for number in numbers]


def _path(folder: Path, number: int) -> Path:
    return folder / _FOLDER / f"{number}.json"


def _plain(batches: Sequence[Sequence[Work]]) -> list[Any]:
    return [[[work.id, list(work.seeds)] for work in batch] for batch in batches]
