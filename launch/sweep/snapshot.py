"""The code as it was when a sweep was submitted: jobs import this copy, so that editing files changes no queued job.

Beside the project that is the user's own modules: those that are neither Python's, nor installed, nor the project's.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

from ablation.errors import ConfigError
from ablation.source.installed import installed
from ablation.store.atomic import sync
from ablation.store.file_errors import naming
from ablation.store.identity import flatten
from launch.compose.paths import ROOT
from launch.sweep.provenance import FLOORS, SOURCE, commit_of, digest, git, source

_READERS, _CODE = "results", (".py", ".j2")  # the floor that reads runs, without the runs and notes that lie there
_MOST = 100 * 2**20  # bytes of one package
_SYNCS = 16  # files at once, which takes a disk little longer than one
_PASSED_OVER = ("__pycache__", "tests")  # folders; hidden files and folders too
_PROJECT = tuple(ROOT / name for name in (*FLOORS, "results", "tests"))
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
    for part in [*(UserModule(name, (ROOT / name,)) for name in FLOORS), *user_modules(configs)]:
        content |= _files(part, store)
    readers = [path for path in walk(ROOT / _READERS, ROOT / _READERS / "runs") if path.suffix in _CODE]
    content |= {str(path.relative_to(ROOT)): path.read_bytes() for path in readers}
    digest = hashlib.sha256()
    for name, data in sorted(content.items()):
        digest.update(f"{name}\0{len(data)}\0".encode(errors="surrogateescape") + data)
    name = digest.hexdigest()[:16]
    for number in count(1):  # a copy that somebody has changed is left to those who run it
        folder = store / (name if number == 1 else f"{name}-{number}")
        if (folder.exists() and _holds(folder, content)) or (not folder.exists() and _write_copy(content, folder)):
            return folder
    raise AssertionError  # count() has no end


@dataclass(frozen=True)
class UserModule:
    """A top-level module (one file) or package (its folders; several if it is a namespace)."""

    name: str
    places: tuple[Path, ...]
    closed: bool = False  # a namespace, all of whose places are here: none is to be added when a job imports it

    @property
    def file(self) -> bool:
        """Whether it is a single file."""
        return self.places[0].is_file()


def user_modules(configs: Iterable[Mapping[str, Any]]) -> Iterator[UserModule]:
    """The top-level modules that are imported by now or that a `_target_` names, in the order of their names."""
    targets = {str(v).partition(".")[0] for c in configs for k, v in flatten(c).items() if k.endswith("_target_")}
    for name in sorted({*targets, *(module.partition(".")[0] for module in list(sys.modules))} - set(FLOORS)):
        spec = _spec(name)
        if spec is None:
            continue
        here = [Path(place).resolve() for place in _places(spec)]
        places = tuple(place for place in here if place.exists() and not _foreign(place))
        if places:
            yield UserModule(name, places, closed=spec.origin is None and len(places) == len(here))


def describe_user_modules(configs: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Of each of these: name, folder, the commit that is checked out there if it is in git, changed files, a digest."""
    described = []
    for part in user_modules(configs):
        place = part.places[0]
        folder, inside = (place.parent, place.name) if part.file else (place, ".")
        files = [place] if part.file else [p for top in part.places for p in walk(top)]
        named = {str(part.name / p.relative_to(place)) if p.is_relative_to(place) else str(p): p for p in files}
        commit, _ = commit_of(folder, inside)
        changed = git("status", "--porcelain", "--", inside, place=folder) if commit else None
        about = {"name": part.name, "path": str(place), "commit": commit, "digest": digest(named)}
        described.append({**about, "changed": [line[3:] for line in (changed or "").splitlines()]})
    return described


def walk(root: Path, without: Path | None = None) -> Iterator[Path]:
    """A package's regular files: an editor's lock, a dangling link, is none. Links are followed, as importing does.

    Tests, byte code, what is hidden and the folder `without` are passed over.
    """
    for folder, inner, files in os.walk(root):
        inner[:] = sorted(n for n in inner if n not in _PASSED_OVER and n[0] != "." and Path(folder, n) != without)
        yield from (path for name in sorted(files) if name[0] != "." and (path := Path(folder, name)).is_file())


def _files(part: UserModule, store: Path) -> Files:
    """What is to be copied of one top-level module or package."""
    if part.file:
        return {part.places[0].name: part.places[0].read_bytes()}
    files: Files = {f"{part.name}/__init__.py": b""} if part.closed else {}
    size = 0
    for place in reversed(part.places):  # of files that several places have, the first place's is imported
        for path in walk(place, store.parent):
            size += path.stat().st_size
            if size > _MOST:
                raise ConfigError(
                    f"{part.name}: {place} has more than {_MOST >> 20} MB, too much to be copied for every sweep; "
                    "keep data outside of the packages that tricks are in"
                )
            files[str(part.name / path.relative_to(place))] = path.read_bytes()
    return files


def _holds(folder: Path, content: Files) -> bool:
    """Whether a folder holds just these files; byte code and what was noted beside them do not count."""
    there = {str(path.relative_to(folder)): path for path in folder.rglob("*") if "__pycache__" not in path.parts}
    files = {name for name, path in there.items() if not path.is_dir() and name != SOURCE}
    return files == content.keys() and all(there[name].read_bytes() == data for name, data in content.items())


def _write_copy(content: Files, folder: Path) -> bool:
    """Write all files, then give the folder its name: it is whole or not there. False: another process was faster."""
    scratch = folder.with_name(f"{folder.name}.{uuid4().hex}.tmp")
    try:
        with naming(folder):
            for name, data in (content | {SOURCE: json.dumps(source(), indent=1).encode()}).items():
                path = scratch / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            with ThreadPoolExecutor(_SYNCS) as pool:
                list(pool.map(sync, [scratch, *scratch.rglob("*")]))
            scratch.rename(folder)
            sync(folder.parent)
    except OSError:
        if not folder.exists():
            raise
        return False
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return True


def _spec(name: str) -> ModuleSpec | None:
    try:
        return importlib.util.find_spec(name)
    except (ValueError, ImportError):  # `__main__`, and modules that were made, not imported
        return None


def _places(spec: ModuleSpec) -> list[str]:
    if spec.submodule_search_locations is not None:
        return list(spec.submodule_search_locations)
    return [spec.origin] if spec.has_location and spec.origin else []


def _foreign(place: Path) -> bool:
    return installed(place) or any(map(place.is_relative_to, _PROJECT))
