"""The code as it was when a sweep was submitted: jobs import this copy, so that editing files changes no queued job."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

from ablation.errors import ConfigError
from ablation.store.atomic import write_atomic
from launch.compose.paths import ROOT
from launch.sweep.own import Own, own, walk
from launch.sweep.provenance import FLOORS, SOURCE, source

_READERS, _CODE = "results", (".py", ".j2")  # the floor that reads runs, without the runs and notes that lie there
_MOST = 100 * 2**20  # bytes of one package
Files = dict[str, bytes]  # path in the copy -> content


def freeze(store: Path, configs: Iterable[Mapping[str, Any]]) -> Path:
    """Copy the code that these configurations run to `<store>/<hash>`; the same code is stored once.

    Beside the project itself that is every top-level module or package of the user's own that is imported by now, so
    call this after the configurations' parts were built, or that a `_target_` names. Packages are copied whole, with
    their data files, but without tests and what is hidden. What a trick imports later than at its own import, and is in
    no such package, is not seen.

    Raises:
        ConfigError: a package is too large to be copied.
        OSError: it cannot be written.
    """
    content: Files = {}
    for part in [*(Own(name, (ROOT / name,)) for name in FLOORS), *own(configs)]:
        content |= _files(part, store)
    readers = [path for path in walk(ROOT / _READERS, ROOT / _READERS / "runs") if path.suffix in _CODE]
    content |= {str(path.relative_to(ROOT)): path.read_bytes() for path in readers}
    digest = hashlib.sha256()
    for name, data in sorted(content.items()):
        digest.update(f"{name}\0{len(data)}\0".encode(errors="surrogateescape") + data)
    name = digest.hexdigest()[:16]
    for number in count(1):  # a copy that somebody has changed is left to those who run it
        folder = store / (name if number == 1 else f"{name}-{number}")
        if (folder.exists() and _same(folder, content)) or (not folder.exists() and _copied(content, folder)):
            return folder
    raise AssertionError  # count() has no end


def _same(folder: Path, content: Files) -> bool:
    """Whether a folder holds just these files; byte code and what was noted beside them do not count."""
    there = {str(path.relative_to(folder)): path for path in folder.rglob("*") if "__pycache__" not in path.parts}
    files = {name for name, path in there.items() if not path.is_dir() and name != SOURCE}
    return files == content.keys() and all(there[name].read_bytes() == data for name, data in content.items())


def _copied(content: Files, folder: Path) -> bool:
    """Write all files, then give the folder its name: it is whole or not there. False: another process was faster."""
    scratch = folder.with_name(f"{folder.name}.{uuid4().hex}.tmp")
    for name, data in content.items():
        path = scratch / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    write_atomic(scratch / SOURCE, json.dumps(source(), indent=1).encode())
    try:
        scratch.rename(folder)
    except OSError:
        shutil.rmtree(scratch)
        if not folder.exists():
            raise
        return False
    return True


def _files(part: Own, store: Path) -> Files:
    """What is to be copied of one top-level module or package."""
    if part.file:
        return {part.places[0].name: part.places[0].read_bytes()}
    found: Files = {f"{part.name}/__init__.py": b""} if part.closed else {}
    size = 0
    for place in reversed(part.places):  # of files that several places have, the first place's is imported
        for path in walk(place, store.parent):
            size += path.stat().st_size
            if size > _MOST:
                raise ConfigError(
                    f"{part.name}: {place} has more than {_MOST >> 20} MB, too much to be copied for every sweep; "
                    "keep data outside of the packages that tricks are in"
                )
            found[str(part.name / path.relative_to(place))] = path.read_bytes()
    return found
