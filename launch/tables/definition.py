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
from launch.compose.arm import Planned, full_name, rules
from launch.compose.arms import try_compose
from launch.compose.errors import absent_options, why_not
from launch.compose.grid import GridRow
from launch.compose.hydra_version import running
from launch.compose.naming import common_and_distinct
from launch.compose.overrides import arm_command, parsed, search_paths, sweep_command
from launch.tables.file import SEQUENCES, flags, texts
from launch.tables.labels import against, labels, surrounding
from launch.tables.request import Request, request
from results.tables.definition import Definition, Line

Composed = list[Planned] | Exception


def names() -> list[str]:
    """All tables, as `table=` takes them."""
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
        asked = request(arguments)
        return definition(asked, compositions(asked.rows, search_paths(asked.hydra)))


def define_rows(overrides: Sequence[Sequence[str]], arguments: Sequence[str] = ()) -> Definition:
    """Of the arms that some sweeper asked for, in its order; `arguments` is the command line it was given.

    Arms that differ in seeds only are one line.
    """
    with running():
        asked = request(arguments, tuple(GridRow(tuple(row)) for row in overrides))
        return definition(asked, compositions(asked.rows, search_paths(asked.hydra)))


def compositions(rows: Sequence[GridRow], search: Sequence[str] = ()) -> list[Composed]:
    """What each row composes to: the arms that it needs, its own last, or why it cannot. Hydra must be initialized.

    Where a search path may bring options of its own, Hydra looks for them; else the files are looked at first.
    """
    missing = [[] if search else absent_options(row.overrides) for row in rows]
    whole = try_compose([row.overrides for row, lacks in zip(rows, missing, strict=True) if not lacks], search)
    return [ConfigError("; ".join(lacks)) if lacks else next(whole) for lacks in missing]


def composable(rows: Sequence[GridRow], hydra: Sequence[str]) -> list[GridRow]:
    """The rows that can be composed; the others are told on standard error. Hydra must be initialized.

    `hydra` are Hydra's own overrides.

    Raises:
        ConfigError: none can.
    """
    kept = []
    for row, label, arms in zip(rows, labels(rows), compositions(rows, search_paths(hydra)), strict=True):
        if isinstance(arms, Exception):
            print(f"left out: {label}: {why_not(arms, [*search_paths(hydra), *row.overrides])}", file=sys.stderr)
        else:
            kept.append(row)
    if not kept:
        raise ConfigError(f"hydra.sweeper.incomplete=skip: leaves none of {len(rows)} arms")
    return kept


def definition(asked: Request, composed: Sequence[Composed]) -> Definition:
    """The table, from what each of its rows composed to."""
    own = [arms[-1] if isinstance(arms, list) else None for arms in composed]
    configs = [p.config if p else {} for p in own]
    full = (full_name(row.overrides, config) for row, config in zip(asked.rows, configs, strict=True))
    _, named = common_and_distinct({str(n): name for n, name in enumerate(full)})
    others, search = against(asked.rows, asked.labels, asked.about.baseline), search_paths(asked.hydra)
    lines: dict[tuple[str, str | None], Line] = {}
    for n, (row, arms) in enumerate(zip(asked.rows, composed, strict=True)):
        line = _line(row, asked.labels[n], arms, search, named[str(n)], others[n])
        before = lines.get((line.label, line.id))
        lines[line.label, line.id] = _with_seeds(line, row, before.seeds, search) if before else line
    used = dict.fromkeys([*asked.about.flags, *(flag for line in lines.values() for flag in line.flags)])
    users = {theirs(config) for config in configs}
    changed = [text for text in asked.task if not all(surrounding(text, u) for u in users)] if asked.name else []
    return Definition(
        name=asked.name or _sweep(own),
        title=asked.about.title or asked.name or _sweep(own),
        lines=tuple(lines.values()),
        command=sweep_command(asked.typed, asked.hydra),
        source=asked.about.source,
        protocol=asked.about.protocol,
        changed=tuple(changed),
        notes=(*asked.about.notes, *(f"{flag}: {flags()[flag]}" for flag in used)),
        flags=asked.about.flags,
        rank=asked.about.rank,
    )


def _line(row: GridRow, label: str, arms: Composed, paths: list[str], name: str, other: str | None) -> Line:
    said = row.about
    seq = [SEQUENCES[said["seq"]]] if "seq" in said else []
    facts: dict[str, Any] = {
        "label": label,
        "command": arm_command([*paths, *row.overrides]),
        "reported": {metric: _numbers(value) for metric, value in (said.get("reported") or {}).items()},
        "against": other,
        "fixed": "against" in said,
        "flags": tuple(said.get("flags") or ()),
        "notes": (*texts(said.get("notes")), *seq),
    }
    if isinstance(arms, Exception):
        return Line(id=None, seeds=_seeds(row), name=name, lacks=why_not(arms, [*paths, *row.overrides]), **facts)
    own = arms[-1]
    return Line(id=own.arm.id, seeds=own.seeds, name=name, config=canonical(own.config, rules()), **facts)


def _with_seeds(line: Line, row: GridRow, more: Sequence[int], paths: Sequence[str]) -> Line:
    """The line with these seeds first."""
    united = tuple(dict.fromkeys([*more, *line.seeds]))
    others = [text for text in row.overrides if parsed(text).key_or_group != "seeds"]
    asked = f"seeds=[{','.join(map(str, united))}]"
    return replace(line, seeds=united, command=arm_command([*paths, *others, asked]))


def _numbers(value: Any) -> tuple[float, ...]:
    return tuple(map(float, value if isinstance(value, list) else [value]))


def _seeds(row: GridRow) -> tuple[int, ...]:
    """Those that a row asks for which cannot be composed."""
    asked = [parsed(text).value() for text in row.overrides if parsed(text).key_or_group == "seeds"]
    try:
        return seeds(asked[-1] if asked else [0])
    except ConfigError:
        return ()


def _sweep(arms: Sequence[Planned | None]) -> str:
    return next((str(p.config["sweep"]) for p in arms if p), "sweep")
