"""The two axes of a sweep, found from its arms' configurations."""

from __future__ import annotations

import contextlib
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from results.tables.definition import Line

_ABSENT = "\0"


@dataclass(frozen=True)
class Axis:
    """What varies, and where each line stands."""

    name: str
    values: tuple[str, ...]  # in the order in which lines have them; numbers ascending
    places: Mapping[str, int]  # label of a line -> index into values


def axes(lines: Sequence[Line]) -> tuple[Axis, Axis] | None:
    """The two things that vary over the lines; None if it is one, or more, or only one of the two at a time.

    A key of the configuration is an axis; options of a group, with the keys that only some of them have, are one axis
    (`aug`: none, cutout, mixup). What follows from another axis is none.
    """
    known = [line for line in lines if line.config]
    found = _independent(_candidates([line.config for line in known]))
    if len(found) != 2:
        return None
    first, second = (_axis(name, column, known) for name, column in found.items())
    cells = {(first.places[line.label], second.places[line.label]) for line in known}
    one_at_a_time = len(first.values) + len(second.values) - 1
    return (first, second) if len(cells) > one_at_a_time else None


def _candidates(configs: Sequence[Mapping[str, Any]]) -> dict[str, list[Hashable]]:
    """Column of values for each key or group that varies."""
    keys = dict.fromkeys(key for config in configs for key in config)
    columns = {key: [str(config.get(key, _ABSENT)) for config in configs] for key in keys}
    varying = {key: column for key, column in columns.items() if len(set(column)) > 1}
    groups: dict[str, dict[str, list[str]]] = {}
    found: dict[str, list[Hashable]] = {}
    for key, column in varying.items():
        group = key.partition(".")[0]
        if key == group and any(other.startswith(f"{group}.") for other in keys):
            continue  # the order of a group's options, told by their names
        if key.endswith("_target_") or _ABSENT in column:
            groups.setdefault(group, {})[key] = column
        else:
            found[key] = list(column)
    return found | {group: _together(group, parts) for group, parts in groups.items()}


def _together(group: str, parts: Mapping[str, Sequence[str]]) -> list[Hashable]:
    """For each line, its options of a group in words, such as `mixup alpha=0.3`."""
    told = any(key.endswith("_target_") for key in parts)  # an option's name tells which arguments it has
    several = [key for key, column in parts.items() if not told or len(set(column) - {_ABSENT}) > 1]
    words = []
    for number in range(len(next(iter(parts.values())))):
        own = {key: column[number] for key, column in parts.items() if column[number] != _ABSENT}
        options = [value.rpartition(".")[2] for key, value in own.items() if key.endswith("_target_")]
        said = [
            f"{key.rpartition('.')[2]}={own[key]}" for key in several if key in own and not key.endswith("_target_")
        ]
        if not options:  # the option is the same everywhere
            options = [] if said else ["none"]
        words.append(" ".join([*("+".join(options),), *said]).strip())
    return list(words)


def _independent(columns: Mapping[str, Sequence[Hashable]]) -> dict[str, Sequence[Hashable]]:
    """Without those that another one decides; of two that decide each other, the first."""
    kept: dict[str, Sequence[Hashable]] = {}
    for name, column in columns.items():
        twin = next((k for k, c in kept.items() if _decides(c, column) and _decides(column, c)), None)
        if twin is None:
            kept[name] = column
    return {
        name: column
        for name, column in kept.items()
        if not any(_decides(other, column) for key, other in kept.items() if key != name)
    }


def _decides(one: Sequence[Hashable], other: Sequence[Hashable]) -> bool:
    return len(set(zip(one, other, strict=True))) == len(set(one))


def _axis(name: str, column: Sequence[Hashable], lines: Sequence[Line]) -> Axis:
    values = list(dict.fromkeys(str(value) for value in column))
    with contextlib.suppress(ValueError):  # words stay in the order of the lines
        values.sort(key=float)
    places = {line.label: values.index(str(value)) for line, value in zip(lines, column, strict=True)}
    return Axis(name, tuple(values), places)
