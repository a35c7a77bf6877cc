"""The last words of a job that left trials undone, though none failed: `<submission>/marks/<job>`."""

from __future__ import annotations

from pathlib import Path

from ablation.atomic import write_atomic

_FOLDER = "marks"
LEFT = "left"  # not by a signal: others train them, or their teachers are not done


def write(folder: Path, job: str, word: str) -> None:
    """Note why: the name of the signal that told it to stop, or LEFT."""
    path = folder / _FOLDER / job
    path.parent.mkdir(exist_ok=True)
    write_atomic(path, word.encode())


def read(folder: Path, job: str) -> str:
    """Why; empty if it said nothing."""
    try:
        return (folder / _FOLDER / job).read_text()
    except FileNotFoundError:
        return ""
