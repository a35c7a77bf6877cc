"""What a table, or any sweep, asks for: its lines with the ids of their arms, whether or not they have been run."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ablation.config import seeds
from ablation.errors import ConfigError
from ablation.store.identity import canonical, theirs
from launch.compose import errors
from launch.compose.arm import Planned
from launch.compose.arms import try_compose
from launch.compose.errors import absent_options, short_reason
from launch.compose.grid import GridRow
from launch.compose.hydra_version import running
from launch.compose.naming import common_and_distinct, full_name, rules
from launch.compose.overrides import arm_command, parsed, search_paths, sweep_command
from launch.tables.file import SEQUENCES, flags, texts
from launch.tables.labels import against, labels, surrounding
from launch.tables.request import Request, parse_request
from results.tables.definition import Definition, Line

Composed = list[Planned] | Exception


def table_names() -> list[str]:
    """The names of all tables, as `table=` takes them."""
    return errors.options("table")


def define(arguments: Sequence[str]) -> Definition:
    """The table that a command line asks for: `table=NAME`, overrides, `hydra.sweeper.*`. Without a table: the sweep.

    Works with or without a Hydra that is initialized. What `hydra.launcher` says is passed over.

    Raises:
        ConfigError: a mistake in the table, or in what was typed. A row that cannot be composed is no mistake: its
            line says what it lacks.
        HydraException: not an override, or no such table.
    """
    with running():
        request = parse_request(arguments)
        return build_definition(request, compositions(request.rows, search_paths(request.hydra)))


def define_rows(overrides: Sequence[Sequence[str]], arguments: Sequence[str] = ()) -> Definition:
    """The sweep of the arms that some sweeper gave, in its order; `arguments` is the command line it was given.

    Arms that differ in seeds only are one line.
    """
    with running():
        request = parse_request(arguments, tuple(GridRow(tuple(row)) for row in overrides))
        return build_definition(request, compositions(request.rows, search_paths(request.hydra)))


def build_definition(request: Request, composed: Sequence[Composed]) -> Definition:
    """The table, from what each of its rows composed to."""
    own = [arms[-1] if isinstance(arms, list) else None for arms in composed]
    configs = [p.config if p else {} for p in own]
    full = (full_name(row.overrides, theirs(config)) for row, config in zip(request.rows, configs, strict=True))
    _, named = common_and_distinct({str(n): name for n, name in enumerate(full)})
    others, search = against(request.rows, request.labels, request.about.baseline), search_paths(request.hydra)
    lines: dict[tuple[str, str | None], Line] = {}
    for n, (row, arms) in enumerate(zip(request.rows, composed, strict=True)):
        line = _line(row, request.labels[n], arms, search, named[str(n)], others[n])
        before = lines.get((line.label, line.id))
        lines[line.label, line.id] = _with_seeds(line, row, before.seeds, search) if before else line
    used = dict.fromkeys([*request.about.flags, *(flag for line in lines.values() for flag in line.flags)])
    users = {theirs(config) for config in configs}
    changed = [text for text in request.task if not all(surrounding(text, u) for u in users)] if request.name else []
    return Definition(
        name=request.name or _sweep_name(own),
        title=request.about.title or request.name or _sweep_name(own),
        lines=tuple(lines.values()),
        command=sweep_command(request.typed, request.hydra),
        source=request.about.source,
        protocol=request.about.protocol,
        changed=tuple(changed),
        notes=(*request.about.notes, *(f"{flag}: {flags()[flag]}" for flag in used)),
        flags=request.about.flags,
        rank=request.about.rank,
    )


def compositions(rows: Sequence[GridRow], search: Sequence[str] = ()) -> list[Composed]:
    """What each row composes to: the arms that it needs, its own last, or why it cannot. Hydra must be initialized.

    Where a search path may bring options of its own, Hydra looks for them; else the files are looked at first.
    """
    missing = [[] if search else absent_options(row.overrides) for row in rows]
    whole = try_compose([row.overrides for row, lacks in zip(rows, missing, strict=True) if not lacks], search)
    return [ConfigError("; ".join(lacks)) if lacks else next(whole) for lacks in missing]


def composable(rows: Sequence[GridRow], hydra: Sequence[str]) -> list[GridRow]:
    """The rows that can be composed; the others are printed on standard error. Hydra must be initialized.

    `hydra` are Hydra's own overrides.

    Raises:
        ConfigError: none can.
    """
    kept = []
    for row, label, arms in zip(rows, labels(rows), compositions(rows, search_paths(hydra)), strict=True):
        if isinstance(arms, Exception):
            print(f"left out: {label}: {short_reason(arms, [*search_paths(hydra), *row.overrides])}", file=sys.stderr)
        else:
            kept.append(row)
    if not kept:
        number = errors.plural(len(rows), "arm")
        raise ConfigError(f"hydra.sweeper.incomplete=skip: none of {number} can be composed; the lines above say why")
    return kept


def _line(row: GridRow, label: str, arms: Composed, paths: list[str], name: str, other: str | None) -> Line:
    about = row.about
    seq = [SEQUENCES[about["seq"]]] if "seq" in about else []
    fields: dict[str, Any] = {
        "label": label,
        "command": arm_command([*paths, *row.overrides]),
        "reported": {metric: _numbers(value) for metric, value in (about.get("reported") or {}).items()},
        "against": other,
        "fixed": "against" in about,
        "flags": tuple(about.get("flags") or ()),
        "notes": (*texts(about.get("notes")), *seq),
    }
    if isinstance(arms, Exception):
        return Line(id=None, seeds=_seeds(row), name=name, lacks=short_reason(arms, [*paths, *row.overrides]), **fields)
    own = arms[-1]
    return Line(id=own.arm.id, seeds=own.seeds, name=name, config=canonical(own.config, rules()), **fields)


def _with_seeds(line: Line, row: GridRow, more: Sequence[int], paths: Sequence[str]) -> Line:
    """The line with these seeds first."""
    united = tuple(dict.fromkeys([*more, *line.seeds]))
    others = [text for text in row.overrides if parsed(text).key_or_group != "seeds"]
    override = f"seeds=[{','.join(map(str, united))}]"
    return replace(line, seeds=united, command=arm_command([*paths, *others, override]))


def _numbers(value: Any) -> tuple[float, ...]:
    return tuple(map(float, value if isinstance(value, list) else [value]))


def _seeds(row: GridRow) -> tuple[int, ...]:
    """The seeds of a row that cannot be composed."""
    given = [parsed(text).value() for text in row.overrides if parsed(text).key_or_group == "seeds"]
    try:
        return seeds(given[-1] if given else [0])
    except ConfigError:
        return ()


def _sweep_name(arms: Sequence[Planned | None]) -> str:
    return next((str(p.config["sweep"]) for p in arms if p), "sweep")
