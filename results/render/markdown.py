"""A table in GitHub's Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence

from results.render.grid import CellGrid, CellRow, grid
from results.tables.table import Table


def render(table: Table, best: bool = False) -> str:
    """Title, budget and images, the table, how to read it, footnotes, warnings, and what to run next."""
    made = grid(table, best)
    parts = [f"**{escaped(made.title)}**", _list(made.above), _table(made), _list([*made.below, *_numbered(made)])]
    parts.append(_list([f"Warning: {warning}" for warning in made.warnings]))
    parts.append("\n".join(["```bash", *made.next, "```"]) if made.next else "")
    return "\n\n".join(part for part in parts if part) + "\n"


def escaped(text: str) -> str:
    """Text that Markdown and GitHub's tables take literally."""
    return re.sub(r"([\\`*_\[\]<>|#~&$])", r"\\\1", " ".join(text.split()))


def _table(made: CellGrid) -> str:
    rule = [":---" if head in made.left else "---:" for head in made.heads]
    rows = [[_label(row), *map(escaped, row.cells)] for row in made.rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [[escaped(head) for head in made.heads], rule, *rows])


def _label(row: CellRow) -> str:
    marks = ", ".join(map(str, row.marks))
    return escaped(row.label) + (f" <sup>{marks}</sup>" if marks else "")


def _numbered(made: CellGrid) -> list[str]:
    return [f"({number}) {note}" for number, note in enumerate(made.footnotes, 1)]


def _list(lines: Sequence[str]) -> str:
    return "\n".join(f"- {escaped(line)}" for line in lines)
