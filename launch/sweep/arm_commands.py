"""The commands that give an arm: the overrides of each, after its search path. Several may, typed by several sweeps.

The first, which a person types again, is in `arm.json`; what else has given the arm, rows of one grid (`Planned.also`)
or other sweeps, is noted in the files of the sweeps, `sweeps/<sweep>.json`. Nobody else reads these three for commands.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.errors import HydraException

from ablation.store.atomic import read_mapping
from ablation.store.identity import theirs
from ablation.track.trial_files import SWEEPS
from launch.compose.arm import Planned
from launch.compose.naming import full_name
from launch.compose.overrides import Overrides, search_paths_in

NOTED = "commands"  # in the file of a sweep that asked for an arm otherwise than `arm.json` says


def of(planned: Planned) -> list[Overrides]:
    """Those that give it now."""
    search = search_paths_in(planned.arm.command)
    return [[*search, *row] for row in (planned.arm.overrides, *planned.also.values())]


def of_folder(folder: Path, arm: Mapping[str, Any] | None) -> list[Overrides]:
    """Those that have given the arm in this folder; `arm` is what its `arm.json` has, if that can be read."""
    found = list[Overrides]()
    if arm and "overrides" in arm:
        found.append([*search_paths_in(str(arm.get("command", ""))), *arm["overrides"]])
    for file in sorted((folder / SWEEPS).glob("*.json")):
        found += read_mapping(file).get(NOTED, [])
    return found


def key(command: Overrides, users: tuple[str, ...] = ()) -> str:
    """The same for all commands that are alike, and for few others; empty if Hydra cannot read it."""
    try:
        return full_name(command, users)
    except (HydraException, TypeError):
        return ""


def give(asked: Iterable[Overrides], now: Planned) -> bool:
    """Whether one of these commands is like one that gives `now`."""
    users = theirs(now.config)
    alike = {key(command, users) for command in of(now)} & {key(each, users) for each in asked}
    return bool(alike - {""})


def unknown(asked: Sequence[Overrides], known: Iterable[Overrides]) -> list[Overrides]:
    """Of those that ask for an arm now, the ones that are like none of the known."""
    keys = set(map(key, known))
    return [command for command in asked if key(command) not in keys]
