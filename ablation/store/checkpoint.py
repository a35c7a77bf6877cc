"""Atomic checkpoints that notice damage: `last.pt`, and the one before as `previous.pt`."""

from __future__ import annotations

import hashlib
import io
import pickle
import warnings
from collections.abc import Iterator
from contextlib import suppress
from math import inf
from pathlib import Path
from typing import Any

import torch

from ablation.store import attempt
from ablation.store.atomic import write_atomic
from ablation.store.journal import JOURNAL, read

_DIGEST = hashlib.sha256().digest_size
_NAMES = ("next.pt", "last.pt", "previous.pt")  # newest first; saving renames in this order


def save(folder: Path, content: dict[str, Any]) -> None:
    """Save as the last checkpoint; the last becomes the previous one. A full disk leaves both as they were."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    blob = buffer.getvalue()
    last, fresh = folder / "last.pt", folder / "next.pt"
    write_atomic(fresh, blob + hashlib.sha256(blob).digest())
    if last.exists():
        last.replace(folder / "previous.pt")
    fresh.replace(last)


def usable(seed_folder: Path) -> Iterator[dict[str, Any]]:
    """The whole checkpoints from which a seed can go on, newest first.

    What an attempt saved beyond the step at which a later one started is of no use: its epochs were taken back.
    """
    limit = inf
    for number in reversed(attempt.numbers(seed_folder)):
        folder = attempt.folder(seed_folder, number)
        yield from (c for c in load(folder) if c["step"] <= limit)
        limit = min([limit, *(e["step"] for e in read(folder / JOURNAL) if e["event"] == "start")])


def discard(seed_folder: Path, before: int) -> None:
    """Delete the checkpoints of attempts before this one, torn ones too."""
    for number in attempt.numbers(seed_folder):
        if number < before:
            for path in attempt.folder(seed_folder, number).glob("*.pt*"):
                with suppress(OSError):  # another user's may have to stay
                    path.unlink()


def load(folder: Path) -> Iterator[dict[str, Any]]:
    """The whole checkpoints of a folder, newest first; warns of each that is torn or corrupt.

    Its owner may save meanwhile. The very first checkpoint can then be missed under each of its names in turn, so where
    none was seen it looks again.
    """
    for _ in range(2):
        seen = False
        for name in _NAMES:
            try:
                blob = (folder / name).read_bytes()
            except FileNotFoundError:
                continue
            seen = True
            try:
                yield _content(blob)
            except (ValueError, RuntimeError, EOFError, pickle.UnpicklingError) as e:
                path = folder / name
                warnings.warn(f"{path} is damaged ({e}); falling back to the checkpoint before it", stacklevel=2)
        if seen:
            return


def _content(blob: bytes) -> dict[str, Any]:
    body, digest = blob[:-_DIGEST], blob[-_DIGEST:]
    if hashlib.sha256(body).digest() != digest:
        raise ValueError("checksum differs")
    content: dict[str, Any] = torch.load(io.BytesIO(body), map_location="cpu", weights_only=True)
    return content
