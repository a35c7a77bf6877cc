"""Which modules are the user's own: those that are neither Python's, nor installed, nor the project's."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

from ablation.source.installed import installed
from ablation.store.identity import flatten
from launch.compose.paths import ROOT
from launch.sweep.provenance import FLOORS, commit_of, digest, git

_PASSED_OVER = ("__pycache__", "tests")  # folders; hidden files and folders too
_PROJECT = tuple(ROOT / name for name in (*FLOORS, "results", "tests"))


@dataclass(frozen=True)
class Own:
    """A top-level module (one file) or package (its folders; several if it is a namespace)."""

    name: str
    places: tuple[Path, ...]
    closed: bool = False  # a namespace, all of whose places are here: none is to be added when a job imports it

    @property
    def file(self) -> bool:
        """Whether it is a single file."""
        return self.places[0].is_file()


def own(configs: Iterable[Mapping[str, Any]]) -> Iterator[Own]:
    """The top-level modules that are imported by now or that a `_target_` names, in the order of their names."""
    targets = {str(v).partition(".")[0] for c in configs for k, v in flatten(c).items() if k.endswith("_target_")}
    for name in sorted({*targets, *(module.partition(".")[0] for module in list(sys.modules))} - set(FLOORS)):
        spec = _spec(name)
        if spec is None:
            continue
        here = [Path(place).resolve() for place in _places(spec)]
        places = tuple(place for place in here if place.exists() and not _foreign(place))
        if places:
            yield Own(name, places, closed=spec.origin is None and len(places) == len(here))


def facts(configs: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Of each: its name and folder, the commit that is checked out there if it is in git, what is changed, a digest."""
    found = []
    for part in own(configs):
        place = part.places[0]
        folder, inside = (place.parent, place.name) if part.file else (place, ".")
        files = [place] if part.file else [p for top in part.places for p in walk(top)]
        named = {str(part.name / p.relative_to(place)) if p.is_relative_to(place) else str(p): p for p in files}
        commit, _ = commit_of(folder, inside)
        changed = git("status", "--porcelain", "--", inside, place=folder) if commit else None
        about = {"name": part.name, "path": str(place), "commit": commit, "digest": digest(named)}
        found.append({**about, "changed": [line[3:] for line in (changed or "").splitlines()]})
    return found


def walk(root: Path, without: Path | None = None) -> Iterator[Path]:
    """A package's regular files: an editor's lock, a dangling link, is none. Links are followed, as importing does.

    Tests, byte code, what is hidden and the folder `without` are passed over.
    """
    for folder, inner, files in os.walk(root):
        inner[:] = sorted(n for n in inner if n not in _PASSED_OVER and n[0] != "." and Path(folder, n) != without)
        yield from (path for name in sorted(files) if name[0] != "." and (path := Path(folder, name)).is_file())


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
