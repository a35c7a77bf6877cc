"""Which rows of the tables can be composed today, and what the others lack."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from launch.compose.errors import why_not
from launch.compose.hydra_version import running
from launch.tables.definition import compositions, names
from launch.tables.request import request


@dataclass(frozen=True)
class Covered:
    """One row of a table."""

    table: str
    row: str  # its label
    lacks: str  # empty if it can be composed


def coverage(tables: Sequence[str] | None = None) -> list[Covered]:
    """Every row of these tables, or of all, in their order."""
    with running():
        asked = [request([f"table={name}"]) for name in (names() if tables is None else tables)]
        rows = [(one.name, label, row) for one in asked for label, row in zip(one.labels, one.rows, strict=True)]
        composed = compositions([row for *_, row in rows])
        return [
            Covered(name, label, why_not(arms, row.overrides) if isinstance(arms, Exception) else "")
            for (name, label, row), arms in zip(rows, composed, strict=True)
        ]


def lacking(covered: Sequence[Covered]) -> list[tuple[str, int]]:
    """What is lacking, and by how many rows, the most wanted first. A row that lacks several things counts for each."""
    wanted = Counter(lack for row in covered for lack in row.lacks.split("; ") if lack)
    return sorted(wanted.items(), key=lambda item: (-item[1], item[0]))
