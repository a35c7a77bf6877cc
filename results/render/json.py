"""A table for programs: all that is known, values of every seed included; what is not known is null."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from results.tables.table import Cell, Table

_DIGITS = 12  # of 17 that a number has in memory


def render(table: Table) -> str:
    """One JSON object."""
    return json.dumps(facts(table), indent=1, ensure_ascii=False) + "\n"


def facts(table: Table) -> dict[str, Any]:
    """Likewise, as plain values."""
    definition = asdict(table.definition)
    del definition["lines"]
    if not definition["rank"]:
        del definition["rank"]
    found = {**definition, "complete": table.complete, "lines": [_facts(cell) for cell in table.cells]}
    if table.ranking:
        found["ranking"] = {key: value for key, value in asdict(table.ranking).items() if key not in ("name", "order")}
    plain: dict[str, Any] = _plain({**found, "data": table.data, "warnings": table.warnings, "next": table.next})
    return plain


def _facts(cell: Cell) -> dict[str, Any]:
    values = {**asdict(cell), "verdict": cell.verdict.words, "verdict_kind": cell.verdict.kind}
    del values["overlap"]  # it is one of the marks
    return {**values.pop("line"), **values}


def _plain(value: Any) -> Any:
    """JSON has no nan, no tuples, and no keys but text; digits that only rounding has made are left out: 14.5."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None
    return value
