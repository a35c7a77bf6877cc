"""Which code the attempts at a trial ran, each in its `code.json`, to tell what was edited since."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ablation.store import attempt
from ablation.store.atomic import read_mapping, write_atomic

CODE = "code.json"  # in an attempt's folder
READING = 2  # raised when modules are read otherwise: digests of different readings are not compared
Modules = dict[str, str]  # dotted name -> digest
Taught = dict[str, list[Modules]]  # a teacher's id, and those of its own teachers -> the code of its attempts


def keep(attempt_folder: Path, step: int, modules: Modules, teachers: Taught | None = None) -> None:
    """Write down the code of an attempt that starts at this step, and of the teachers from whom it learns."""
    kept = {"reading": READING, "step": step, "modules": modules, "teachers": teachers or {}}
    write_atomic(attempt_folder / CODE, json.dumps(kept).encode())


def counted(seed_folder: Path) -> list[Modules]:
    """The code of the attempts at a trial that its numbers come from: from the last that began anew.

    Attempts from before code was kept say nothing.
    """
    return [kept["modules"] for kept in _counted(seed_folder)]


def taught(seed_folder: Path) -> Taught:
    """The code by which the teachers of a trial were trained when it learned from them."""
    found: Taught = {}
    for kept in _counted(seed_folder):
        for id_, modules in kept["teachers"].items():
            found.setdefault(id_, []).extend(m for m in modules if m not in found[id_])
    return found


def teaches(out: Path, teacher: str | None, seed: int) -> Taught:
    """The code by which the teacher that is now in `out` was trained, and its own teachers."""
    folder = out / str(teacher) / f"seed-{seed}"
    return {teacher: counted(folder), **taught(folder)} if teacher else {}


def _counted(seed_folder: Path) -> list[dict[str, Any]]:
    found = [read_mapping(attempt.folder(seed_folder, number) / CODE) for number in attempt.numbers(seed_folder)]
    found = [kept for kept in found if kept.get("reading") == READING]
    first = max((n for n, kept in enumerate(found) if kept["step"] == 0), default=0)
    return found[first:]


def digests(seed_folder: Path, parts: Mapping[str, Modules]) -> dict[str, str]:
    """What tells whether two trials ran the same code: a digest for each part, of all attempts that count."""
    runs = counted(seed_folder)
    found = {
        part: {_counts(name, run[name]) for run in runs for name in modules if name in run}
        for part, modules in parts.items()
    }
    taught_by = {_counts(*module) for codes in taught(seed_folder).values() for run in codes for module in run.items()}
    found["teacher"] = found.get("teacher", set()) | taught_by
    return {part: hashlib.sha256(" ".join(sorted(d)).encode()).hexdigest()[:8] for part, d in found.items() if d}


def _counts(name: str, digest: str) -> str:
    """Our own modules may move from version to version; who exchanges two of their own runs other code."""
    return digest if name.startswith("ablation.") else f"{name} {digest}"


def edited(then: Iterable[Modules], now: Modules) -> list[str]:
    """The files that differ: `aug/cutout.py`. A module that was moved or renamed as it is does not."""
    names: set[str] = set()
    for modules in then:
        names |= {name for name in modules.keys() & now.keys() if modules[name] != now[name]}
        gone = {name: digest for name, digest in modules.items() if name not in now}
        new = {name: digest for name, digest in now.items() if name not in modules}
        names |= {name for name, digest in gone.items() if digest not in new.values()}
        names |= {name for name, digest in new.items() if digest not in gone.values()}
    return sorted(map(_spelt, names))


def _spelt(name: str) -> str:
    """A module as a file; a file that a trick is given stays as it is."""
    return name if "=" in name else f"{name.removeprefix('ablation.').replace('.', '/')}.py"


def told(files: Sequence[str]) -> str:
    """In words, or empty: `code differs since: aug/cutout.py`."""
    return f"code differs since: {named(files)}" if files else ""


def named(files: Sequence[str]) -> str:
    """The first four: `aug/cutout.py, loss/ce.py, trial.py, types.py and 2 more`."""
    return ", ".join(files[:4]) + (f" and {len(files) - 4} more" if len(files) > 4 else "")
