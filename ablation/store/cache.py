"""Where what can be made again is kept, under a digest of what it was made from."""

from __future__ import annotations

import hashlib
import os
import shutil
from contextlib import suppress
from pathlib import Path

_NEWEST = 20  # entries that are kept beside each other


def directory(cache: str | None = None) -> Path:
    """The argument, else the variable ABLATION_CACHE, else ~/.cache/ablation."""
    return Path(cache or os.environ.get("ABLATION_CACHE") or "~/.cache/ablation").expanduser()


def digest(folder: Path, suffix: str, *more: object) -> str:
    """16 hexadecimal digits for the files of a folder, by places and contents, and for whatever else matters."""
    found = hashlib.sha256(repr(more).encode())
    for path in files(folder, suffix):
        with suppress(OSError):  # an editor's lock is a link to nothing
            found.update(f"{path.relative_to(folder)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()[:16]


def files(folder: Path, suffix: str) -> list[Path]:
    """Those whose names end so, at any depth, also in folders that are links."""
    found, seen = [], set[str]()
    for place, folders, names in os.walk(folder, followlinks=True):
        if (real := os.path.realpath(place)) in seen:  # a link to a folder that it lies in
            folders.clear()
            continue
        seen.add(real)
        found += [Path(place, name) for name in names if name.endswith(suffix)]
    return sorted(found)


def forget_old(folder: Path) -> None:
    """Remove all but the newest entries, files or folders, of a folder of such digests.

    Raises:
        OSError: it cannot be read.
    """
    for old in sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)[_NEWEST:]:
        if old.is_dir():
            shutil.rmtree(old, ignore_errors=True)
        else:
            old.unlink(missing_ok=True)
