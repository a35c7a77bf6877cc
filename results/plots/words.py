"""What a picture says about itself: how many seeds, which budget, which images, which epoch."""

from __future__ import annotations

from collections.abc import Sequence

from results.render import text
from results.tables.metrics import metric
from results.tables.table import Cell, Table

_MINUS = "\N{MINUS SIGN}"


def points(name: str) -> str:
    """The unit of a difference of a metric."""
    return "percentage points" if name.endswith("_acc") else metric(name).words.rpartition(", ")[2]


def title(table: Table, what: str) -> str:
    """The table's title, what is shown of it, and what was asked for otherwise than the title may say."""
    definition = table.definition
    changed = f" (with {' '.join(definition.changed)})" if definition.changed else ""
    return f"{definition.title}{changed}: {what}"


def caption(table: Table, how: str) -> str:
    """Lines under a picture: how to read it, then the metric, n, budget and data as measured."""
    what = f"The metric is the {metric(table.definition.metric).spoken}. {seeds(table.cells)}."
    budget = f"Measured: {text.budget(table.cells) or 'nothing yet'}."
    return "\n".join([how, what, budget, *(f"Images: {line}." for line in table.data)])


def seeds(cells: Sequence[Cell]) -> str:
    """How many finished seeds the lines have."""
    counts = sorted({len(cell.values) for cell in cells if cell.values})
    if not counts:
        return "No trial is finished"
    many = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return f"Each row has n = {many} seed{'' if counts == [1] else 's'}"


def number(value: float, name: str) -> str:
    """A value of a metric."""
    return f"{value:.{metric(name).digits}f}".replace("-", _MINUS)


def signed(value: float, name: str) -> str:
    """A difference of a metric, with its sign."""
    return metric(name).signed(value).replace("-", _MINUS)


def level(cell: Cell, name: str) -> str:
    """The mean of a line: `85.06 ± 0.33 (n 4)`, of the seeds asked for where some are not finished; empty if none."""
    if cell.summary is None:
        return ""
    n, asked = cell.summary.n, len(cell.line.seeds)
    spread = f" ± {number(cell.summary.std, name)}" if n > 1 else ""
    return f"{number(cell.summary.mean, name)}{spread} (n {n if n == asked else f'{n}/{asked}'})"


def standing(cell: Cell, name: str) -> str:
    """A line without a comparison, in words: its mean, and why there is none."""
    parts = dict.fromkeys([level(cell, name), cell.verdict.words, cell.refused, waiting(cell), *cell.marks])
    return "; ".join(part for part in parts if part)


def waiting(cell: Cell) -> str:
    """The seeds without a number, by why: `seeds 2, 3 missing; seed 4 failed: oom`."""
    return "; ".join(text.waiting(cell.waiting))
