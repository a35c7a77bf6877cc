"""The arms that have been run into a folder, for whoever is about to run more: which are alike, and which are stale.

An arm is stale if the command that it came from gives another arm now, since a default or an option has changed. That
hangs on its commands (`launch.sweep.arm_commands`), and not on names, which are for people. Arms are found by their
small `arm.json`; the configuration is read only of those that matter.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from ablation.store import arm_files
from ablation.store.arm_files import ARM, DamagedArm
from ablation.store.file_errors import in_words
from ablation.store.identity import CONTENT, PATH, REVISED, difference
from launch.compose.arm import Config, Planned, has_run
from launch.compose.naming import grouped, rules
from launch.compose.overrides import Overrides
from launch.sweep import arm_commands

_MOST_ALIKE = 20  # arms with the same options: the newest tell enough of what a run costs
_BY_PATH = "its images were known by their path only, and are now known by their content"
_BY_RULES = "its id was made by earlier rules; see CHANGELOG.md"  # the ids differ, and what is in them does not


class EarlierArms:
    """The arms that have been run into a folder, each file read once. Those that are damaged are passed over."""

    def __init__(self, out: Path) -> None:
        self._out, self.trouble = out, list[str]()  # what was wrong with the files that were read and passed over
        self._arms: dict[Path, dict[str, Any] | None] = {}
        self._configs: dict[Path, Config | None] = {}
        self._finished: dict[str, list[Path]] = {}

    def arm(self, folder: Path) -> dict[str, Any] | None:
        """What `arm.json` of an arm's folder holds; None if it is damaged or not there."""
        if folder not in self._arms:
            self._arms[folder] = self._read(arm_files.read_arm, folder)
        return self._arms[folder]

    def config(self, folder: Path) -> Config | None:
        """The configuration of an arm, by its folder; None if it is damaged or not there."""
        if folder not in self._configs:
            self._configs[folder] = self._read(arm_files.read_config, folder)
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

    def stale(self, planned: Planned, present: Collection[str] = ()) -> StaleArm | None:
        """The newest stale arm that came from the same command, has run, and is none of the `present` ids."""
        keys = dict.fromkeys(arm_commands.key(command) for command in arm_commands.of(planned))
        for folder in dict.fromkeys(folder for key in keys for folder in self._by_command.get(key, [])):
            other = folder.name not in {*present, planned.arm.id} and has_run(folder)
            if other and (config := self.config(folder)) and arm_commands.give(self.commands(folder), planned):
                return stale(folder, config, planned)
        return None

    def commands(self, folder: Path) -> list[Overrides]:
        """The commands that have given the arm in a folder."""
        return arm_commands.of_folder(folder, self.arm(folder))

    def alike(self, planned: Planned) -> list[Path]:
        """The folders of arms with the same option of each group and a result, newest first, not too many."""
        key = _groups_key(planned.arm.groups)
        if key not in self._finished:
            done = (f for f in self._by_groups.get(key, []) if any(f.glob("seed-*/result.json")))
            self._finished[key] = list(islice(done, _MOST_ALIKE))
        return self._finished[key]

    @cached_property
    def _by_command(self) -> dict[str, list[Path]]:
        keys = ((folder, set(map(arm_commands.key, self.commands(folder)))) for folder in self.folders)
        return grouped((folder, key) for folder, own in keys for key in own if key)

    @cached_property
    def _by_groups(self) -> dict[str, list[Path]]:
        return grouped((folder, _groups_key(arm["groups"])) for folder, arm in self.all)

    def _read(self, read: Callable[[Path], dict[str, Any]], folder: Path) -> dict[str, Any] | None:
        try:
            return read(folder)
        except FileNotFoundError:
            return None
        except (OSError, DamagedArm) as e:
            self.trouble.append(in_words(e))
            return None


class StaleArm(NamedTuple):
    """An arm whose command gives another one now, so that its trials no longer count for it."""

    folder: Path
    changed: Mapping[str, tuple[Any, Any]]  # key -> what it was, what it is

    def __str__(self) -> str:
        return describe_changes(self.changed)


def stale(folder: Path, config: Mapping[str, Any], now: Planned) -> StaleArm | None:
    """The arm in this folder, if `now` is what its command gives now and is another one."""
    if folder.name == now.arm.id:
        return None
    return StaleArm(folder, difference(config, now.config, rules(), (folder.name, now.arm.id)))


def notes(planned: Planned) -> list[str]:
    """What to know of earlier runs: this arm in another sweep, or the same command with other defaults."""
    out = Path(planned.config["out"])
    earlier = EarlierArms(out)
    found, own = earlier.stale(planned), earlier.arm(out / planned.arm.id)
    lines = [f"{each}; it was passed over" for each in earlier.trouble]
    if own and own["sweep"] != planned.arm.sweep:
        lines.append(f"this trial is recorded in the sweep {own['sweep']!r}, and stays there")
    if found:
        lines.append(f"stale: {found.folder} came from the same command, but {found}")
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


def _groups_key(groups: Mapping[str, str]) -> str:
    """What arms that are alike have in common: the option of each group but the schedule, which costs nothing."""
    return json.dumps({group: option for group, option in groups.items() if group != "sched"}, sort_keys=True)


def _format_value(value: Any) -> str:
    return "not there" if value is None else str(value)
