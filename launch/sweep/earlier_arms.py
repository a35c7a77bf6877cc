"""The arms that have been run into a folder, for whoever is about to run more: which are alike, and which are stale.

An arm is stale if its command gives another arm today, since a default or an option has changed. They are found by the
small `arm.json` of each arm; the configuration is read only of those that matter.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from ablation.store import arm_files
from ablation.store.arm_files import ARM, DamagedArm
from ablation.store.file_errors import in_words
from ablation.store.identity import CONTENT, PATH, REVISED, difference
from launch.compose.arm import Arm, Config, Planned, has_run
from launch.compose.naming import rules

_MOST_ALIKE = 20  # arms with the same options: the newest tell enough of what a run costs
_BY_PATH = "its images were known by their path only, and are now known by their content"
_BY_RULES = "its id was made by earlier rules; see CHANGELOG.md"  # the ids differ, and what is in them does not


class EarlierArms:
    """The arms that have been run into a folder, each file read once. Those that are damaged are passed over."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self._arms: dict[Path, dict[str, Any] | None] = {}
        self._configs: dict[Path, Config | None] = {}
        self._finished: dict[str, list[Path]] = {}

    def arm(self, folder: Path) -> dict[str, Any] | None:
        """What `arm.json` of an arm's folder holds; None if it is damaged or not there."""
        if folder not in self._arms:
            self._arms[folder] = _read_whole(arm_files.read_arm, folder)
        return self._arms[folder]

    def config(self, folder: Path) -> Config | None:
        """The configuration of an arm, by its folder; None if it is damaged or not there."""
        if folder not in self._configs:
            self._configs[folder] = _read_whole(arm_files.read_config, folder)
        return self._configs[folder]

    @cached_property
    def folders(self) -> list[Path]:
        """Newest first."""
        files = sorted(self._out.glob(f"*/{ARM}"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
        return [path.parent for path in files]

    @cached_property
    def all(self) -> list[tuple[Path, dict[str, Any]]]:
        """The folders, and what their `arm.json` hold; newest first."""
        return [(folder, arm) for folder in self.folders if (arm := self.arm(folder)) is not None]

    def superseded_by_default(self, planned: Planned, present: Collection[str]) -> SupersededArm | None:
        """The newest arm by the same name that has run and is none of the `present` ids."""
        for folder in self._by_name.get(planned.arm.name, []):
            other = folder.name != planned.arm.id and folder.name not in present
            if other and has_run(folder) and (config := self.config(folder)):
                ids = (folder.name, planned.arm.id)
                return SupersededArm(folder, difference(config, planned.config, rules(), ids))
        return None

    def alike(self, planned: Planned) -> list[Path]:
        """The folders of arms with the same option of each group and a result, newest first, not too many."""
        key = _groups_key(planned.arm.groups)
        if key not in self._finished:
            done = (f for f in self._by_groups.get(key, []) if any(f.glob("seed-*/result.json")))
            self._finished[key] = list(islice(done, _MOST_ALIKE))
        return self._finished[key]

    @cached_property
    def _by_name(self) -> dict[str, list[Path]]:
        return _grouped((arm["name"], folder) for folder, arm in self.all)

    @cached_property
    def _by_groups(self) -> dict[str, list[Path]]:
        return _grouped((_groups_key(arm["groups"]), folder) for folder, arm in self.all)


class SupersededArm(NamedTuple):
    """An earlier arm of the same command, whose trials no longer count: a default or an option has changed since."""

    folder: Path
    changed: Mapping[str, tuple[Any, Any]]  # key -> what it was, what it is

    def __str__(self) -> str:
        return describe_changes(self.changed)


def notes(arm: Arm, config: Mapping[str, Any], out: Path) -> list[str]:
    """What to know of earlier runs: this arm in another sweep, or the same command with other defaults."""
    lines = []
    for path in sorted(out.glob(f"*/{ARM}")):
        try:
            lines += _compare(arm, config, path.parent)
        except (OSError, DamagedArm) as e:
            lines.append(f"{in_words(e)}; it was passed over")
    return lines


def describe_changes(changes: Mapping[str, tuple[Any, Any]]) -> str:
    """The changes of a configuration, key -> (was, is), in one line: `sched.eta was 1e-05, is 0.0001`.

    Corrections come last: `it was made before revision 2 of loss.refinery; see CHANGELOG.md`.
    """
    if not changes:
        return _BY_RULES
    if CONTENT in changes and changes[CONTENT][0] is None:
        rest = {key: values for key, values in changes.items() if key not in (PATH, CONTENT)}
        return f"{_BY_PATH}, {describe_changes(rest)}" if rest else _BY_PATH
    keys = [
        f"{key} was {_format_value(a)}, is {_format_value(b)}"
        for key, (a, b) in changes.items()
        if not key.startswith(REVISED)
    ]
    corrections = [(key.removeprefix(REVISED), *numbers) for key, numbers in changes.items() if key.startswith(REVISED)]
    before = [f"revision {b} of {option}" for option, a, b in corrections if a < b]
    after = [f"revision {a} of {option}, which is now {b}" for option, a, b in corrections if a > b]
    made = [f"it was made {how} {' and '.join(o)}" for how, o in (("before", before), ("under", after)) if o]
    return ", ".join(keys + made) + ("; see CHANGELOG.md" if made else "")


def _read_whole(read: Callable[[Path], dict[str, Any]], folder: Path) -> dict[str, Any] | None:
    try:
        return read(folder)
    except (OSError, DamagedArm):
        return None


def _groups_key(groups: Mapping[str, str]) -> str:
    """What arms that are alike have in common: the option of each group but the schedule, which costs nothing."""
    return json.dumps({group: option for group, option in groups.items() if group != "sched"}, sort_keys=True)


def _grouped(pairs: Iterable[tuple[str, Path]]) -> dict[str, list[Path]]:
    grouped: dict[str, list[Path]] = {}
    for key, folder in pairs:
        grouped.setdefault(key, []).append(folder)
    return grouped


def _compare(arm: Arm, config: Mapping[str, Any], folder: Path) -> list[str]:
    """The notes on one earlier arm, by its folder."""
    earlier, notes = arm_files.read_arm(folder), list[str]()
    if folder.name == arm.id and earlier["sweep"] != arm.sweep:
        notes.append(f"this trial is recorded in the sweep {earlier['sweep']!r}, and stays there")
    if folder.name != arm.id and earlier["name"] == arm.name and has_run(folder):
        old = arm_files.read_config(folder)
        changed = describe_changes(difference(old, config, rules(), (folder.name, arm.id)))
        notes.append(f"stale: {folder} came from the same command, but {changed}")
    return notes


def _format_value(value: Any) -> str:
    return "not there" if value is None else str(value)
