"""What images of one's own are: a digest of their files' bytes, whatever they are called and wherever they lie.

It stands for `data.path` in a run's id, so that other images are another run, and the same images elsewhere the same.
A file's digest is remembered by its absolute path, size and times of change in `content/` beside the decoded arrays, a
tree's also as a whole: only what has changed is read again. The first time every byte is read, once, on all cores.
"""

from __future__ import annotations

import hashlib
import inspect
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from ablation.build import factory
from ablation.errors import DataError
from ablation.machine.allowance import cores
from ablation.store.atomic import write_atomic
from ablation.store.cache import directory

_DIGITS = 16
_KIND = "sha256:"  # before the digits: no digest reads as a number
_YOUNG = 2 * 10**9  # ns; what was changed so lately can change again without another time of change
_MANY = 2**30  # bytes to be read, of which it is told
_Stamp = tuple[bytes, bytes]  # name, size and times of change


def asked(node: Mapping[str, Any], tell: Callable[[str], None] = lambda _: None) -> str | None:
    """The digest of what the `path` of a configuration node of the `data` group holds; None if nothing is there.

    A data set of one's own has an argument `content` for it, and beside its factory a function `files`, which lists
    what it reads below a path; without that function it is every file that is not hidden.

    Raises:
        DataError: what is there is no such data set, or cannot be read.
    """
    path = Path(node["path"]).expanduser()
    return digest(path, files(node), node.get("cache"), tell) if path.exists() else None


def files(node: Mapping[str, Any]) -> Sequence[Path]:
    """The files that a data set of one's own reads.

    Raises:
        DataError: they are not there.
    """
    module = inspect.getmodule(factory(node, "data"))
    listed: Callable[[Path], Sequence[Path]] = vars(module).get("files", _every)
    return listed(Path(node["path"]).expanduser())


def confirm(path: Path, found: Sequence[Path], content: object, cache: str | None = None) -> str:
    """The digest of these files, compared with `content` unless that is None. Call it when they have been read.

    Raises:
        DataError: they are others now.
    """
    now = digest(path, found, cache)
    if content is not None and content != now:
        raise DataError(
            f"data.path={path}: holds other images ({now}) than when this run was asked for (data.content={content}); "
            "bring those back, or type the command again for a run on the present images"
        )
    return now


def digest(
    path: Path, found: Sequence[Path], cache: str | None = None, tell: Callable[[str], None] = lambda _: None
) -> str:
    """Of one file: of its bytes. Of a tree: of its files' names below `path` and their bytes.

    Raises:
        DataError: a file cannot be read.
    """
    try:
        return f"{_KIND}{_digest(path, found, directory(cache) / 'content', tell)[:_DIGITS]}"
    except OSError as e:
        raise DataError(
            f"{e.filename or path}: cannot be read ({e.strerror or e}); its bytes tell which run it is"
        ) from e


def _digest(path: Path, found: Sequence[Path], store: Path, tell: Callable[[str], None]) -> str:
    now, alone = time.time_ns(), path.is_file()
    names = [b"" if alone else os.fsencode(file.relative_to(path)) for file in found]
    stats = [file.stat() for file in found]
    stamps = [
        (name, b"%d %d %d" % (s.st_size, s.st_mtime_ns, s.st_ctime_ns)) for name, s in zip(names, stats, strict=True)
    ]
    whole = hashlib.sha256(repr(sorted(stamps)).encode()).hexdigest()
    entry = store / hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:32]
    known = _read(entry.with_suffix(".whole"))
    if known[:1] == [whole.encode()] and len(known) == 2:
        return known[1].decode()
    made = _each(found, stamps, [s.st_size for s in stats], _files(entry), path, tell)
    joined = hashlib.sha256()
    for name, of in sorted(zip(names, made, strict=True)):
        joined.update(name + b"\0" + of + b"\n")
    result = made[0].decode() if alone else joined.hexdigest()
    settled = [max(s.st_mtime_ns, s.st_ctime_ns) < now - _YOUNG for s in stats]
    kept = [(*stamp, of) for stamp, of, old in zip(stamps, made, settled, strict=True) if old]
    with suppress(OSError):  # a folder that cannot be written is done without
        store.mkdir(parents=True, exist_ok=True)
        write_atomic(entry, b"\0".join(part for parts in kept for part in parts))
        if all(settled):
            write_atomic(entry.with_suffix(".whole"), b"\0".join([whole.encode(), result.encode()]))
    return result


def _each(
    found: Sequence[Path],
    stamps: Sequence[_Stamp],
    sizes: Sequence[int],
    known: Mapping[_Stamp, bytes],
    path: Path,
    tell: Callable[[str], None],
) -> list[bytes]:
    """Each file's digest, read anew if it is not known."""
    more = sum(size for size, stamp in zip(sizes, stamps, strict=True) if stamp not in known)
    if more > _MANY:
        tell(f"{path}: {more / 2**30:.1f} GiB are read once, to know which images they are")

    def one(file: Path, stamp: _Stamp) -> bytes:
        if stamp in known:
            return known[stamp]
        with file.open("rb") as raw:
            return hashlib.file_digest(raw, "sha256").hexdigest().encode()

    with ThreadPoolExecutor(cores()) as pool:
        return list(pool.map(one, found, stamps))


def _files(entry: Path) -> dict[_Stamp, bytes]:
    parts = _read(entry)
    return {(name, stamp): of for name, stamp, of in zip(parts[::3], parts[1::3], parts[2::3], strict=False)}


def _read(path: Path) -> list[bytes]:
    """The parts of a file of the store; none if it cannot be read."""
    try:
        return path.read_bytes().split(b"\0")
    except OSError:
        return []


def _every(path: Path) -> list[Path]:
    """Every file below a path that is not hidden; the file itself if it is one."""
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise DataError(f"{path}: no such file or folder; data.path=PATH says where the images are")
    found = []
    for top, inner, names in os.walk(path):
        inner[:] = [name for name in inner if not name.startswith(".")]
        found += [Path(top, name) for name in names if not name.startswith(".")]
    return sorted(found)
