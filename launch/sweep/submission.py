"""A submission: one time that a sweep was started, with its configurations and code frozen, in one folder.

`<out>/.sweeps/<name>/<n>/` holds `submission.json`, `source.json` (the code's state in git) and `arms.jsonl`, one arm a
line; nothing in them ever changes. The arms' own folders, `<out>/<id>/`, are written then too.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any

from ablation.errors import AblationError
from ablation.store.atomic import write_atomic
from ablation.store.file_errors import in_words
from launch.compose import own_data, paths
from launch.compose.arm import Arm, Planned, Work, full_names
from launch.compose.naming import ArmNames, short_names
from launch.compose.teachers import order
from launch.sweep import entry_points, membership, provenance, snapshot

STORE = ".sweeps"
CODE = ".code"
_ARMS, _SUBMISSION = "arms.jsonl", "submission.json"
_WRITERS = 16  # of arms' folders, at once


class Unreadable(AblationError):
    """A submission that is there and cannot be read: another user's, or on a disk that fails."""


@dataclass(frozen=True)
class Submission:
    """One time that a sweep was started."""

    name: str
    number: int  # 1, 2, ... of this name
    folder: Path
    out: Path
    cwd: Path  # relative paths in configurations are relative to it
    command: str
    launcher: dict[str, Any]  # the launcher's resolved options; `backend` is its module
    code: Path  # to be first on PYTHONPATH
    entries: entry_points.Entries  # the modules in it that are run
    time: float  # seconds since 1970
    arms: dict[str, Planned]  # by id, in grid order
    full_names: Mapping[str, str] = field(default_factory=dict)  # by id, of what `names` are for; empty: the arms
    news: tuple[Path, ...] = ()  # seeds done before, whose runs in MLflow have to name this sweep too

    @cached_property
    def names(self) -> ArmNames:
        """What people call its arms: among those of the whole sweep, if it was loaded, whichever part is shown."""
        return short_names(self.full_names or full_names(self.arms.values()))

    @property
    def works(self) -> list[Work]:
        """In running order, so that early results cover the grid: teachers first, then first seeds of all arms, ..."""
        return order(list(self.arms.values()))

    @property
    def trials(self) -> set[tuple[str, int]]:
        """Id and seed of every trial."""
        return {(work.id, seed) for work in self.works for seed in work.seeds}


def create(planned: Sequence[Planned], launcher: Mapping[str, Any], command: str) -> Submission:
    """Freeze a sweep: its arms' configurations and the code. Write the arms' folders.

    What was cancelled before is asked for again.

    Raises:
        ConfigError: a trick's package is too large to be frozen, or `out` cannot be written to.
        DataError: images of one's own are not there.
        OSError: it cannot be written.
    """
    own_data.require(p.config for p in planned)
    name = planned[0].arm.sweep
    inside = [CODE, STORE, f"{STORE}/{name}", *(place for p in planned for place in membership.places(p))]
    out = paths.make_out(planned[0].config, inside).resolve()
    code = snapshot.freeze(out / CODE, [p.config for p in planned])
    number, folder = _claim(out / STORE / name)
    lines = [
        json.dumps({"arm": asdict(p.arm), "config": p.config, "teacher": p.teacher, "also": p.also}) for p in planned
    ]
    write_atomic(folder / _ARMS, "".join(f"{line}\n" for line in lines).encode())
    cwd, now = Path.cwd(), time.time()
    git = {**provenance.source(), "own": snapshot.describe_user_modules(p.config for p in planned)}
    state = {"commit": git["commit"], "dirty": bool(git["diff"] or git["untracked"])}
    write_atomic(folder / provenance.SOURCE, json.dumps(git, indent=1).encode())
    frozen = {"code": code.name, "entries": dict(entry_points.NOW), **state}
    head = {
        "command": command,
        "cwd": str(cwd),
        "arms": len(planned),
        **frozen,
        "time": now,
        "launcher": dict(launcher),
    }
    write_atomic(folder / _SUBMISSION, json.dumps(head, indent=1).encode())
    with ThreadPoolExecutor(_WRITERS) as pool:  # disks and file servers take many at once faster than in turn
        list(pool.map(lambda p: _write_arm(out / p.arm.id, p), planned))
    news = membership.join(out, name, {p.arm.id: p.seeds for p in planned}, planned)
    return Submission(
        name=name,
        number=number,
        folder=folder,
        out=out,
        cwd=cwd,
        command=command,
        launcher=dict(launcher),
        code=code,
        entries=dict(entry_points.NOW),
        time=now,
        arms={p.arm.id: p for p in planned},
        news=tuple(news),
    )


def load(folder: Path) -> Submission:
    """Read a submission back.

    Raises:
        AblationError: its files are missing or damaged.
    """
    try:
        head = json.loads((folder / _SUBMISSION).read_bytes())
        arms = [_planned(json.loads(line)) for line in (folder / _ARMS).read_bytes().splitlines()]
        if "arms" in head and len(arms) != head["arms"]:  # earlier ones do not say how many there are
            raise ValueError(f"{_ARMS} has {len(arms)} of {head['arms']} arms")
        out = folder.resolve().parents[2]
        return Submission(
            name=folder.parent.name,
            number=int(folder.name),
            folder=folder.resolve(),
            out=out,
            cwd=Path(head["cwd"]),
            command=head["command"],
            launcher=head["launcher"],
            code=out / CODE / head["code"],
            entries={**entry_points.UNSAID, **head.get("entries", {})},
            time=head["time"],
            arms={p.arm.id: p for p in arms},
        )
    except (OSError, ValueError, KeyError, TypeError) as e:
        if isinstance(e, OSError) and not isinstance(e, FileNotFoundError):
            raise Unreadable(in_words(e)) from e
        raise AblationError(
            f"{folder}: not a whole submission ({type(e).__name__}: {e}); submit the sweep again"
        ) from e


def load_all(out: Path, name: str | None = None) -> tuple[list[Submission], list[str]]:
    """The submissions of one sweep, or of all, oldest first, and what is to be said of those that are damaged."""
    loaded, damaged = [], []
    for folder in submissions(out, name):
        try:
            loaded.append(load(folder))
        except AblationError as e:
            damaged.append(str(e))
    names: dict[str, dict[str, str]] = {}  # of each sweep
    for submission in loaded:
        names.setdefault(submission.name, {}).update(full_names(submission.arms.values()))
    return [replace(submission, full_names=names[submission.name]) for submission in loaded], damaged


def require_code(code: Path) -> None:
    """Refuse to train without the frozen code: Python would take that of today in its place.

    Raises:
        AblationError: it is gone.
    """
    if not code.is_dir():
        raise AblationError(
            f"{code}: the code that this sweep was submitted with is gone; submit the sweep again, and it is trained "
            "with today's: what is done is kept"
        )


def submissions(out: Path, name: str | None = None) -> list[Path]:
    """The folders of all whole submissions, of one sweep or of all that may be read, oldest first.

    Of one sweep they are in the order of their numbers, whatever the clock was set to meanwhile.

    Raises:
        PermissionError: this one, or `out`, may not be read.
    """
    found: list[tuple[int, Path]] = []
    for store in [out / STORE / name] if name else _listed(out / STORE):
        with nullcontext() if name else suppress(PermissionError):
            newest = 0
            for _, folder in _numbered(store):
                with suppress(FileNotFoundError):
                    newest = max(newest, (folder / _SUBMISSION).stat().st_mtime_ns)
                    found.append((newest, folder))
    return [folder for _, folder in sorted(found, key=lambda pair: pair[0])]


def _write_arm(folder: Path, planned: Planned) -> None:
    planned.arm.write(folder, planned.config)
    for seed in planned.seeds:
        (folder / f"seed-{seed}" / "cancel").unlink(missing_ok=True)


def _claim(store: Path) -> tuple[int, Path]:
    """The next free number, and its new folder."""
    store.mkdir(parents=True, exist_ok=True)
    for number in count(1 + max((n for n, _ in _numbered(store)), default=0)):
        folder = store / str(number)
        try:
            folder.mkdir()
        except FileExistsError:  # another shell was faster
            continue
        return number, folder
    raise AssertionError  # count() has no end


def _planned(line: Mapping[str, Any]) -> Planned:
    return Planned(Arm(**line["arm"]), line["config"], teacher=line["teacher"], also=line.get("also", {}))


def _numbered(store: Path) -> Iterator[tuple[int, Path]]:
    yield from sorted((int(p.name), p) for p in _listed(store) if p.name.isdigit())


def _listed(folder: Path) -> list[Path]:
    """What is in a folder; nothing if it is none."""
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
