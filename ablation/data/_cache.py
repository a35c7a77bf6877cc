"""Arrays kept decoded on disk: one folder per entry, with a .npy file per array and `entry.json` with their SHA-256.

An entry's key says what it was made from, so a changed source is another entry, and old ones may be deleted at any
time when nothing trains. Entries appear by renaming a finished folder. A damaged entry is rebuilt and a folder that
cannot be written is done without, both with a warning.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import uuid
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from ablation.store.cache import directory

Array = NDArray[Any]


class Chunks(NamedTuple):
    """An array to be made piece by piece, so that it need not fit into memory."""

    shape: tuple[int, ...]
    dtype: str
    parts: Callable[[], Iterator[Array]]  # concatenated along the first axis they are the array


class Recipe(NamedTuple):
    """What to store."""

    arrays: dict[str, Chunks]
    meta: dict[str, Any]  # for JSON; read after the arrays are made, so their parts may fill it


class Entry(NamedTuple):
    """What was stored."""

    arrays: dict[str, Array]
    meta: dict[str, Any]
    digest: str  # SHA-256 over all arrays


def stamp(files: Iterable[Path], *more: object) -> str:
    """16 hexadecimal digits for these files as they are now (path, size, times of change) and whatever else matters."""
    h = hashlib.sha256(repr(more).encode())
    for file in files:
        stat = file.stat()
        h.update(f"{file}\0{stat.st_size}\0{stat.st_mtime_ns}\0{stat.st_ctime_ns}\n".encode())
    return h.hexdigest()[:16]


def digest(arrays: dict[str, Array]) -> str:
    """SHA-256 over all arrays, their names, types and shapes."""
    return _joined(
        {n: (a.shape, a.dtype.str, hashlib.sha256(np.ascontiguousarray(a).data).hexdigest()) for n, a in arrays.items()}
    )


def _joined(parts: dict[str, tuple[tuple[int, ...], str, str]]) -> str:
    text = "\n".join(f"{name} {tuple(shape)} {dtype} {sha}" for name, (shape, dtype, sha) in sorted(parts.items()))
    return hashlib.sha256(text.encode()).hexdigest()


def _load(folder: Path, memory: bool) -> Entry:
    stored = json.loads((folder / "entry.json").read_text())
    parts = {name: (tuple(shape), dtype, sha) for name, (shape, dtype, sha) in stored["arrays"].items()}
    # mode "c" because torch warns of arrays that cannot be written; what is written never reaches the file
    arrays = {name: np.load(folder / f"{name}.npy", mmap_mode=None if memory else "c") for name in parts}
    found = digest(arrays) if memory else _joined({n: (a.shape, a.dtype.str, parts[n][2]) for n, a in arrays.items()})
    if found != _joined(parts):
        raise ValueError("its arrays do not match their SHA-256")
    return Entry(arrays, stored["meta"], found)


def _find(folder: Path, memory: bool) -> Entry | None:
    if not folder.exists():
        return None
    try:
        return _load(folder, memory)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError) as e:
        warnings.warn(f"cache entry {folder} is damaged ({e}); it is rebuilt", stacklevel=3)
        return None


def _save(folder: Path, recipe: Recipe) -> None:
    arrays = {}
    for name, chunks in recipe.arrays.items():
        sha = hashlib.sha256()
        head = {"descr": chunks.dtype, "fortran_order": False, "shape": chunks.shape}
        with (folder / f"{name}.npy").open("wb") as file:
            np.lib.format.write_array_header_2_0(file, head)
            for part in chunks.parts():
                raw = np.ascontiguousarray(part, dtype=chunks.dtype).data
                sha.update(raw)
                file.write(raw)
        arrays[name] = (chunks.shape, chunks.dtype, sha.hexdigest())
    (folder / "entry.json").write_text(json.dumps({"arrays": arrays, "meta": recipe.meta}))


def _made(recipe: Recipe) -> Entry:
    arrays = {}
    for name, chunks in recipe.arrays.items():
        arrays[name], at = np.empty(chunks.shape, chunks.dtype), 0
        for part in chunks.parts():
            arrays[name][at : at + len(part)] = part
            at += len(part)
    return Entry(arrays, recipe.meta, digest(arrays))


def cached(
    cache: str | None,
    key: str,
    make: Callable[[], Recipe],
    memory: bool = True,
    still: Callable[[], object] = lambda: None,
) -> Entry:
    """The entry of this key, made if it is not there.

    Args:
        cache: folder of all entries, see `directory`.
        key: names the entry, and must say what it is made from.
        make: called on a miss; must turn its own `OSError`s into `DataError`s.
        memory: read and verify the arrays; otherwise map the files, and only sizes are checked.
        still: called when the entry is made and before it counts; raises if what it is made from has changed meanwhile.
    """
    folder = directory(cache) / key
    if found := _find(folder, memory):
        return found
    work = folder.with_name(f".{key}-{uuid.uuid4().hex}")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{folder}.lock"):  # the other trials of a sweep wait for one decoding instead of doing their own
            if found := _find(folder, memory):
                return found
            shutil.rmtree(folder, ignore_errors=True)
            work.mkdir()
            _save(work, make())
            still()
            work.rename(folder)
            return _load(folder, memory)
    except (OSError, NotImplementedError) as e:
        warnings.warn(f"no cache in {folder.parent} ({e}); the next load will be as slow, set data.cache", stacklevel=2)
        return _made(make())
    finally:
        shutil.rmtree(work, ignore_errors=True)
