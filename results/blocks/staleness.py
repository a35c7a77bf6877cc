"""Why a block of a note no longer matches the runs. What it was made from stands in it, in a comment."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any

from results.tables.definition import Definition
from results.tables.table import Cell, Table

_FROM = re.compile(r"^<!-- made from: (\{.*\}) -->$", re.MULTILINE)
Facts = Mapping[str, Any]


def comment(table: Table) -> str:
    """One line that says what a table was made from: its file, and the runs and the mean of each cell."""
    cells = {c.line.label: _cell(c) for c in table.cells if c.values}
    facts = {"file": _file(table.definition), "arms": _arms(table.definition), "cells": cells}
    text = json.dumps(facts, ensure_ascii=False).replace(">", "\\u003e")  # --> would end the comment
    return f"<!-- made from: {text} -->"


def reasons(old: str, new: str) -> list[str]:
    """Why the body of a block is not what the runs give now; nothing if it is. A finding's is a sentence."""
    if old == new:
        return []
    if not old.strip():
        return ["it was never filled"]
    was, now = _read(old), _read(new)
    if now is None:
        return [f"it says {old!r}, and the runs say {new!r}"]
    if was is None:
        return [_difference(old, new)]
    return [*_changes(was, now)] or [_difference(old, new)]


def _cell(cell: Cell) -> dict[str, Any]:
    mean = cell.summary.mean if cell.summary else None
    return {
        "id": cell.line.id,
        "seeds": sorted(cell.values),
        "mean": None if mean is None else round(mean, 4),
        "against": cell.line.against,
    }


def _file(definition: Definition) -> str:
    """A digest of all that a table's file says beside its arms."""
    lines = [[x.label, x.seeds, x.reported, x.against, x.flags, x.notes] for x in definition.lines]
    ranked = [definition.rank] if definition.rank else []  # digests of tables without it stay what they were
    return _digest([definition.title, definition.source, definition.protocol, definition.notes, lines, *ranked])


def _arms(definition: Definition) -> str:
    """A digest of what its lines are composed to: their ids, or what they lack."""
    return _digest([[x.label, x.id, x.lacks] for x in definition.lines])


def _digest(facts: list[Any]) -> str:
    return sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]


def _read(body: str) -> Facts | None:
    """What a body was made from; None if it does not say so."""
    found = _FROM.search(body)
    try:
        facts = json.loads(found[1]) if found else None
        return facts if facts is None or {"file", "arms", "cells"} <= facts.keys() else None
    except ValueError:
        return None


def _changes(was: Facts, now: Facts) -> Iterator[str]:
    for label, old in was["cells"].items():
        new = now["cells"].get(label)
        yield from _lost(label, old) if new is None else _moved(f'row "{label}"', old, new)
    for label, new in now["cells"].items():
        if label not in was["cells"]:
            yield f'row "{label}" has runs now: {_seeds(new["seeds"])}'
    if was["file"] != now["file"]:
        yield "the file of the table has changed"
    if was["arms"] != now["arms"]:
        yield "its rows compose to other arms: their overrides or defaults have changed, or options are new"


def _lost(label: str, old: Facts) -> Iterator[str]:
    yield f'row "{label}" has no runs any more: {_seeds(old["seeds"])} are gone'


def _moved(row: str, old: Facts, new: Facts) -> Iterator[str]:
    if old["id"] != new["id"]:
        yield f"{row} has another configuration: its id was {old['id']} and is {new['id']}"
    if lost := set(old["seeds"]) - set(new["seeds"]):
        yield f"{row} has lost {_seeds(lost)}"
    if won := set(new["seeds"]) - set(old["seeds"]):
        yield f"{row} has gained {_seeds(won)}"
    if old["against"] != new["against"]:
        yield f"{row} was compared with {old['against'] or 'nothing'} and is with {new['against'] or 'nothing'}"
    if old["mean"] != new["mean"]:
        yield f"{row} had the mean {_number(old['mean'])} and has {_number(new['mean'])}"


def _seeds(seeds: Any) -> str:
    return f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, sorted(seeds)))}"


def _number(mean: float | None) -> str:
    return "none" if mean is None else f"{mean:g}"


def _difference(old: str, new: str) -> str:
    """The first line that differs, for a body whose runs are the same: it was edited, or made by another version."""
    before, after = old.split("\n"), new.split("\n")
    at = next((i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), min(len(before), len(after)))
    found = [text[at].strip()[:160] if at < len(text) else "" for text in (before, after)]
    how = f"its line {at + 1} is {found[0]!r}, where the runs give {found[1]!r}"
    return f"it was edited, or filled by another version: {how}"
