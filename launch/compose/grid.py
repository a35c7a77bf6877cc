"""The grid language: what a sweep varies, expanded to plain override lists, each of which could be typed alone.

Under `hydra.sweeper`, in a file (`# @package hydra.sweeper`, as the tables are) or on the command line, where `params`
has to be `++hydra.sweeper.params={...}`, since its keys are new:

    params   key -> values, one axis each, in Hydra's own syntax: "a,b", "range(1,4)", "glob(resnet*)", "choice(a,b)"
    zip      list of {key: values, ...}; the keys of one entry vary together, so that they need equally many values
    union    list of sub-grids, each with any of these five keys; their arms one after the other
    rows     list of arms said in full, as lines of overrides; beside the union's
    exclude  list of lines; an arm whose overrides match a whole line is left out

The arms are the product of every axis of `params`, every entry of `zip`, the concatenation of `union` and `rows`, and
every axis of the command line, the last varying fastest. What the command line says of a key replaces what the grid
says of it, everywhere. A value means what it means when typed after `key=`: a list is one value, the choices of a sweep
are text. A line is text split as a shell splits it, or a list of overrides; Hydra's sweeps work in it. A row may be a
mapping with its line under `overrides`; its other keys (a label, reported numbers) are for tables. An exclusion
compares with an arm's overrides as they stand, command line included, and not with defaults that nobody named; several
values of a key, as in "aug=cutout,mixup", mean any of them.
"""

from __future__ import annotations

import shlex
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from itertools import product
from math import prod
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.types import Override, RangeSweep

from ablation.build import near
from ablation.errors import ConfigError
from launch.compose.arm import notes_on_repeated_keys
from launch.compose.errors import plural
from launch.compose.overrides import parsed, quote_teacher, value_text

_KINDS = {"params": dict, "zip": list, "union": list, "rows": list, "exclude": list}
KEYS = tuple(_KINDS)
_MOST_ARMS = 100_000  # ten times as many as are planned in a minute


@dataclass(frozen=True, eq=False)
class Exclusion:
    """One exclusion: for every key one of some values."""

    where: str
    wanted: Mapping[str, Sequence[Any]]

    def matches(self, overrides: Iterable[str]) -> bool:
        """Whether these overrides have one of the values for every key."""
        given = {key_of(text): parsed(text).value() for text in overrides}
        return all(key in given and given[key] in values for key, values in self.wanted.items())


@dataclass(frozen=True)
class GridRow:
    """One arm, or a part of one: overrides, what a table says of it, and the exclusions that it has to pass."""

    overrides: tuple[str, ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict)
    exclusions: tuple[Exclusion, ...] = ()

    def __add__(self, other: GridRow) -> GridRow:
        """Both rows as one; of two overrides of one key the other's counts."""
        keyed = {key_of(text): text for text in (*self.overrides, *other.overrides)}
        return GridRow(tuple(keyed.values()), {**self.about, **other.about}, self.exclusions + other.exclusions)


class Grid:
    """Expands a grid; `notes` then says what a person should know of it."""

    def __init__(self, loader: ConfigLoader) -> None:
        self.notes: list[str] = []
        self._loader = loader  # knows the options that a `glob(...)` matches
        self._typed: frozenset[str] = frozenset()  # keys of the command line

    def expand(self, grid: Mapping[str, Any], arguments: Sequence[str]) -> list[GridRow]:
        """The arms of a grid (a mapping with some of `KEYS`) and the overrides of a command line.

        Raises:
            ConfigError: a mistake in the grid, or no arm is left.
            HydraException: not an override.
        """
        typed = self._line(arguments, "the command line")
        self._typed = frozenset(typed)
        rows = _product([self._arms(grid, "hydra.sweeper"), *typed.values()], ", ".join(self._typed))
        hits = [[exclusion for exclusion in row.exclusions if exclusion.matches(row.overrides)] for row in rows]
        useful = {exclusion for hit in hits for exclusion in hit}
        idle = dict.fromkeys(exclusion.where for row in rows for exclusion in row.exclusions if exclusion not in useful)
        self.notes += [f"{where} excludes no arm" for where in idle]
        kept = [row for row, hit in zip(rows, hits, strict=True) if not hit]
        if not kept:
            raise ConfigError(f"hydra.sweeper.exclude: leaves none of {plural(len(rows), 'arm')}; exclude less")
        return kept

    def _arms(self, grid: Any, where: str) -> list[GridRow]:
        """The arms of a grid or sub-grid, not yet excluded from."""
        grid = _of_kind(grid, dict, where)
        for key in grid:
            if key not in KEYS:
                raise ConfigError(f"{where}.{key}: no such key; {near(str(key), KEYS)}")
        parts = {key: _of_kind(grid.get(key), kind, f"{where}.{key}") for key, kind in _KINDS.items()}
        axes = list(self._line(_assignments(parts["params"]), f"{where}.params", self._typed).values())
        axes += [self._zipped(columns, f"{where}.zip[{i}]") for i, columns in enumerate(parts["zip"])]
        listed = [row for i, sub in enumerate(parts["union"]) for row in self._arms(sub, f"{where}.union[{i}]")]
        listed += [row for i, entry in enumerate(parts["rows"]) for row in self._row(entry, f"{where}.rows[{i}]")]
        exclusions = tuple(self._exclusion(line, f"{where}.exclude[{i}]") for i, line in enumerate(parts["exclude"]))
        return [
            replace(row, exclusions=row.exclusions + exclusions)
            for row in _product([*axes, listed] if listed else axes, where)
        ]

    def _zipped(self, columns: Any, where: str) -> list[GridRow]:
        columns = self._line(_assignments(_of_kind(columns, dict, where)), where, self._typed)
        lengths = {key: len(values) for key, values in columns.items()}
        if len(set(lengths.values())) > 1:
            counts = ", ".join(f"{key} has {plural(n, 'value')}" for key, n in lengths.items())
            raise ConfigError(
                f'{where}: {counts}; keys that vary together need equally many values, as in "a,b" and "1,2"'
            )
        return [_join(together) for together in zip(*columns.values(), strict=True)] or [GridRow()]

    def _row(self, entry: Any, where: str) -> list[GridRow]:
        """The arms of one row, more than one if its line sweeps."""
        about = dict(entry) if isinstance(entry, Mapping) else {"overrides": entry}
        if "overrides" not in about:
            raise ConfigError(f"{where}: has no `overrides`, the line that sets this row apart ([] for the baseline)")
        axes = self._line(_split(about.pop("overrides"), where), where, self._typed).values()
        return [replace(row, about=about) for row in _product(list(axes), where)]

    def _exclusion(self, line: Any, where: str) -> Exclusion:
        axes = self._line(_split(line, where), where)
        if not axes:
            raise ConfigError(f"{where}: is empty and would exclude every arm; take it away")
        return Exclusion(where, {key: [parsed(row.overrides[0]).value() for row in axis] for key, axis in axes.items()})

    def _line(self, overrides: Sequence[str], where: str, without: Container[str] = ()) -> dict[str, list[GridRow]]:
        """Key -> the values that a line gives it, one row each; keys in `without` are left out."""
        axes: dict[str, list[GridRow]] = {}
        read = [replace(parsed(quote_teacher(text)), config_loader=self._loader) for text in overrides]
        self.notes += [f"{where}: {note}" for note in notes_on_repeated_keys(read)]
        for override in read:
            key, text = override.get_key_element(), str(override.input_line)
            if override.is_hydra_override() or key == "table":
                raise ConfigError(f"{where}: {text}: belongs on the command line, once for all arms")
            if key in without:
                continue
            if not override.is_sweep_override():
                axes[key] = [GridRow((text,))]
            elif override.is_discrete_sweep():
                _check_number(_length(override.value()), f"{where}: {text}")
                axes[key] = _rows(override, f"{where}: {text}")
            else:
                raise ConfigError(f"{where}: {text}: has no list of values; give one, such as {key}=a,b")
            if not axes[key]:
                ends = "has no values" if isinstance(override.value(), RangeSweep) else "matches no option"
                raise ConfigError(f"{where}: {text}: {ends}")
        return axes


def key_of(override: str) -> str:
    """The key of an override, with its sign and package: `+aug`, `optim.lr`."""
    return parsed(override).get_key_element()


def _join(rows: Iterable[GridRow]) -> GridRow:
    return reduce(GridRow.__add__, rows, GridRow())


def _rows(override: Override, where: str) -> list[GridRow]:
    """One for each value of a sweep."""
    try:
        return [GridRow((f"{override.get_key_element()}={value}",)) for value in override.sweep_string_iterator()]
    except (ValueError, ArithmeticError) as e:  # a range whose step is 0, or with a nan
        raise ConfigError(f"{where}: has no values ({' '.join(str(e).split())})") from e


def _length(values: Any) -> float:
    """Of a sweep; a range is not counted one by one."""
    if isinstance(values, RangeSweep) and values.step and values.stop is not None and values.start is not None:
        return max(0.0, (values.stop - values.start) / values.step)
    return 0 if isinstance(values, RangeSweep) else len(getattr(values, "list", ()))


def _check_number(arms: float, where: str) -> None:
    if arms > _MOST_ARMS:
        raise ConfigError(f"{where}: more than {_MOST_ARMS} arms; vary less at once")


def _product(axes: Sequence[Sequence[GridRow]], where: str) -> list[GridRow]:
    _check_number(prod(map(len, axes)), where)
    return [_join(rows) for rows in product(*axes)]


def _assignments(values: Mapping[str, Any]) -> list[str]:
    """Keys and values as they would be typed; a text is taken as it is."""
    return [f"{key}={v if isinstance(v, str) else value_text(v)}" for key, v in values.items()]


def _split(line: Any, where: str) -> list[str]:
    """The overrides of a line."""
    if isinstance(line, str):
        try:
            return shlex.split(line)
        except ValueError as e:
            raise ConfigError(f"{where}: {line}: {e}; close its quotes") from e
    return [str(text) for text in _of_kind(line, list, where)]


def _of_kind(value: Any, kind: type, where: str) -> Any:
    """The value, or an empty one of its kind for null."""
    if value is None:
        return kind()
    if not isinstance(value, kind):
        raise ConfigError(f"{where}: is {value!r}; give a {'mapping' if kind is dict else 'list'}")
    return value
