"""Which rows of the tables can be composed today, and what the others lack."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from launch.compose.errors import short_reason
from launch.compose.hydra_version import running
from launch.tables.definition import compositions, table_names
from launch.tables.request import parse_request


@dataclass(frozen=True)
class CoveredRow:
    """One row of a table."""

    table: str
    row: str  # its label
    lacks: str  # empty if it can be composed


def coverage(tables: Sequence[str] | None = None) -> list[CoveredRow]:
    """Every row of these tables, or of all, in their order."""
    with running():
        requests = [parse_request([f"table={name}"]) for name in (table_names() if tables is None else tables)]
        rows = [(each.name, label, row) for each in requests for label, row in zip(each.labels, each.rows, strict=True)]
        composed = compositions([row for *_, row in rows])
        return [
            CoveredRow(name, label, short_reason(arms, row.overrides) if isinstance(arms, Exception) else "")
            for (name, label, row), arms in zip(rows, composed, strict=True)
        ]


def lacking(covered: Sequence[CoveredRow]) -> list[tuple[str, int]]:
    """What rows lack, and how many of them, the most wanted first. A row that lacks several things counts for each."""
    wanted = Counter(lack for row in covered for lack in row.lacks.split("; ") if lack)
    return sorted(wanted.items(), key=lambda item: (-item[1], item[0]))
