"""The last words of a job, which its trials' own files do not say: `<submission>/marks/<job>`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ablation.store.atomic import write_atomic

_FOLDER = "marks"
LEFT = "left"  # not by a signal: others train what is left, or its teachers are not done


@dataclass(frozen=True)
class Mark:
    """How a job ended."""

    word: str = ""  # the signal that told it to stop, or LEFT
    code: int = 0  # exit code
    failed: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # by work: cause and message


def write(folder: Path, job: str, mark: Mark) -> None:
    """Leave a mark."""
    path = folder / _FOLDER / job
    path.parent.mkdir(exist_ok=True)
    write_atomic(path, json.dumps(asdict(mark)).encode())


def read(folder: Path, job: str) -> Mark | None:
    """A job's mark; None if it ended without a word."""
    try:
        return Mark(**json.loads((folder / _FOLDER / job).read_bytes()))
    except FileNotFoundError:
        return None
