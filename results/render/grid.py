"""A table as text in cells, before it is set in one format or another."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from results.render import ranked, text
from results.render.footnotes import below
from results.tables.metrics import BEST, metric, reported
from results.tables.table import Table
from results.tables.verdict import Kind

_NOBODY = "by a source that is not named"
_ALWAYS = ("n", "mean ± std", "verdict")  # also where they say nothing


@dataclass(frozen=True)
class CellRow:
    """One line: its label, the numbers of its footnotes, and the other cells."""

    label: str
    marks: tuple[int, ...]
    cells: tuple[str, ...]
    verdict: Kind


@dataclass(frozen=True)
class CellGrid:
    """Everything that is printed of a table."""

    title: str
    above: tuple[str, ...]  # budget measured, protocol reported, images
    heads: tuple[str, ...]  # of all columns, the label's first
    left: tuple[str, ...]  # heads of columns of words
    rows: tuple[CellRow, ...]
    below: tuple[str, ...]  # how to read the numbers
    footnotes: tuple[str, ...]  # numbered from 1
    warnings: tuple[str, ...]
    next: tuple[str, ...]


def grid(table: Table, best: bool = False) -> CellGrid:
    """The cells of a table; `best`: the best epochs' accuracy too, which is shown anyhow where it was reported."""
    shown = metric(table.definition.metric)
    cells = {cell.line.label: cell for cell in table.cells}
    names = list(dict.fromkeys(name for cell in table.cells for name in cell.line.reported))
    usual = _usual(table)
    footnotes = list(dict.fromkeys(note for cell in table.cells for note in text.footnotes(cell, usual)))
    columns: dict[str, list[str]] = {
        "n": [text.seeds(cell) for cell in table.cells],
        "mean ± std": [text.measured(cell, shown) for cell in table.cells],
        "difference [95 %]": [text.difference(cell, shown) for cell in table.cells],
        "p (Holm)": [text.p_value(cell) for cell in table.cells],
        "verdict": [text.verdict(cell) for cell in table.cells],
    }
    if (best or BEST in names) and shown.name != BEST:
        columns["best epoch, selected on test"] = [text.best(cell, metric(BEST)) for cell in table.cells]
    for name in names:
        head = "reported" if name == shown.name else f"reported {name}"
        columns[f"{head} (difference)"] = [text.reported(cell, cells, reported(name)) for cell in table.cells]
        if table.ranking and name == table.ranking.name:
            columns |= ranked.columns(table.ranking, table.cells)
    columns = {head: column for head, column in columns.items() if head in _ALWAYS or any(column)}
    rows = [
        CellRow(
            cell.line.label,
            tuple(sorted(footnotes.index(note) + 1 for note in text.footnotes(cell, usual))),
            tuple(column[number] for column in columns.values()),
            cell.verdict.kind,
        )
        for number, cell in enumerate(table.cells)
    ]
    return CellGrid(
        title=table.definition.title,
        above=tuple(_above(table)),
        heads=("", *columns),
        left=("", "verdict"),
        rows=tuple(rows),
        below=tuple(below(table, shown, usual)),
        footnotes=tuple(footnotes),
        warnings=table.warnings,
        next=table.next,
    )


def _usual(table: Table) -> str | None:
    """What most lines are compared with."""
    against = Counter(cell.line.against for cell in table.cells if cell.line.against is not None)
    return against.most_common(1)[0][0] if against else None


def _above(table: Table) -> list[str]:
    definition = table.definition
    asked = f"; asked for by {' '.join(definition.changed)}" if definition.changed else ""
    lines = [f"Measured: {text.budget(table.cells) or 'nothing yet'}{asked}"]
    if any(cell.line.reported for cell in table.cells):
        lines.append(f"Reported: {'; '.join(filter(None, [definition.source or _NOBODY, definition.protocol]))}")
    elif definition.source:
        lines.append(f"Source: {definition.source}")
    return [*lines, *(f"Images: {line}" for line in table.data)]
