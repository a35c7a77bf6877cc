"""Forest plot: how far each line of a table is from its baseline, and how surely."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from results.plots.style import INK, SOFT, canvas, heading, place, short, shorts, styled
from results.plots.words import caption, points, signed, standing, title, waiting
from results.render.text import reported_difference
from results.tables.metrics import metric
from results.tables.table import Cell, Table
from results.tables.verdict import Kind, Verdict

if TYPE_CHECKING:
    from results.stats.compare import Comparison

_ROW = 0.34  # inches
_LETTER = 0.077  # inches of a letter, about
_MIDDLE = 3.7  # inches for the effects
_RIGHT = 3.1  # inches for the columns of text, which begin at _COLUMNS
_COLUMNS = (0.12, 1.82, 2.2)  # inches to the right of the effects
_HOW = (
    "A mark is the mean difference to the baseline, the thick line its 95 % t interval, the thin line below its 95 % "
    "bootstrap interval. Each dot is a pair, of one seed. A hollow diamond is the difference that was reported. An "
    "arrow stands for a mark beyond the axis; intervals may go on beyond it too."
)
# Shape and colour both tell the verdict, and its text stands beside them.
_CONTROL = "s", "#0072B2"
_MARKS = {
    Kind.BETTER: ("^", "#009E73"),
    Kind.WORSE: ("v", "#D55E00"),
    Kind.TIE: _CONTROL,
    Kind.DIFFERS: _CONTROL,
}


@styled
def forest(table: Table) -> Figure:
    """One row a line, in the table's order. Lines without a comparison say why in words."""
    cells = table.cells
    height = _ROW * (len(cells) + 0.8) + 0.5
    labels = shorts([cell.line.label for cell in cells])
    left = 0.25 + _LETTER * max(map(len, labels), default=0)
    figure = canvas(height, left + _MIDDLE + _RIGHT)
    axes = place(figure, left, 0.5, _MIDDLE, _ROW * len(cells))
    known = {cell.line.label: cell for cell in cells}
    limit = reach(cells, table.definition.metric)
    _frame(axes, table, labels, limit)
    for row, cell in enumerate(cells):
        base = known.get(cell.line.against or "")
        if cell.comparison is None or base is None:
            words = short(standing(cell, table.definition.metric), 72)
            _write(axes, row, 0, words, style="italic", color=SOFT)
        else:
            _effect(axes, row, cell.comparison, differences(cell, base), _mark(cell.verdict), limit)
            _columns(axes, row, cell, cell.comparison, table.definition.metric)
        gap = reported(cell, base, table.definition.metric)
        if gap is not None:
            _point(axes, gap, row, limit, "D", INK, hollow=True)
    heading(figure, title(table, "difference to the baseline"), caption(table, _HOW))
    return figure


def compares(table: Table) -> bool:
    """Whether there is a difference to draw, ours or one reported."""
    known, name = {cell.line.label: cell for cell in table.cells}, table.definition.metric
    gaps = (reported(cell, known.get(cell.line.against or ""), name) for cell in table.cells)
    return any(cell.comparison for cell in table.cells) or any(gap is not None for gap in gaps)


def differences(cell: Cell, base: Cell) -> list[float]:
    """The pairs, in the order of their seeds; none if no seed is finished in both."""
    return [cell.values[seed] - base.values[seed] for seed in sorted(cell.values.keys() & base.values.keys())]


def reported(cell: Cell, base: Cell | None, name: str) -> float | None:
    """The difference of the numbers reported; None unless each line has exactly one."""
    return None if base is None else reported_difference(cell, {base.line.label: base}, name)


def reach(cells: tuple[Cell, ...], name: str) -> float:
    """How far the axis goes to both sides: all means and dots, but no stray one that would squash the others."""
    known = {cell.line.label: cell for cell in cells}
    means, others = [], [0.0]
    for cell in cells:
        base = known.get(cell.line.against or "")
        gap = reported(cell, base, name)
        others += [] if gap is None else [abs(gap)]
        if cell.comparison is not None and base is not None:
            means.append(abs(cell.comparison.diff))
            others += [abs(d) for d in differences(cell, base)] if cell.comparison.paired else []
            others += [
                min(abs(end), 3 * max(others)) for end in (cell.comparison.low, cell.comparison.high) if end == end
            ]
    farthest = max([*means, *others])
    typical = float(np.median(means)) if len(means) > 3 else farthest
    return 1.08 * (min(farthest, 8 * typical) or farthest) or 1.0


def _frame(axes: Axes, table: Table, labels: list[str], limit: float) -> None:
    """Zero line, bands behind the rows, labels, and the heads of the columns."""
    name = table.definition.metric
    axes.set_xlim(-limit, limit)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_yticks(range(len(labels)), labels)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.axvline(0, color=INK, linewidth=0.9, zorder=1)
    for row in range(0, len(labels), 2):
        axes.axhspan(row - 0.5, row + 0.5, color="#f4f4f4", zorder=0, linewidth=0)
    axes.set_xlabel(f"difference in {metric(name).words.removesuffix(', %')}, {points(name)}", fontsize=8)
    for column, text in enumerate(("difference, 95 % t interval", "n", "verdict")):
        _write(axes, -0.75, column, text, color=SOFT, size=7.5)


def _write(axes: Axes, row: float, column: int, text: str, **looks: Any) -> None:
    """Text beside the effects."""
    x = 1 + _COLUMNS[column] / _MIDDLE
    axes.text(x, row, text, transform=axes.get_yaxis_transform(), va="center", **({"size": 8} | looks))


def _mark(verdict: Verdict) -> tuple[str, str]:
    return _MARKS.get(verdict.kind, ("o", SOFT))


def _effect(axes: Axes, row: int, found: Comparison, pairs: list[float], mark: tuple[str, str], limit: float) -> None:
    shape, colour = mark
    axes.plot([found.low, found.high], [row, row], color=colour, linewidth=2.4, solid_capstyle="butt", zorder=3)
    axes.plot([found.boot_low, found.boot_high], [row + 0.2] * 2, color=colour, linewidth=0.9, zorder=3)
    if found.paired:
        axes.scatter(pairs, [row - 0.24] * len(pairs), s=7, color=colour, alpha=0.75, linewidths=0, zorder=3)
    _point(axes, found.diff, row, limit, shape, colour)


def _point(axes: Axes, x: float, row: int, limit: float, shape: str, colour: str, hollow: bool = False) -> None:
    """A mark, or an arrow at the border towards where it would be."""
    outside = abs(x) > limit
    marker = ("<" if x < 0 else ">") if outside else shape
    axes.scatter(
        [float(np.clip(x, -0.97 * limit, 0.97 * limit))],
        [row],
        s=26 if hollow else 42,
        marker=marker,
        facecolors="none" if hollow else colour,
        edgecolors=INK if hollow else "white",
        linewidths=1.1 if hollow else 0.6,
        zorder=5,
    )


def _columns(axes: Axes, row: int, cell: Cell, found: Comparison, name: str) -> None:
    interval = f" [{signed(found.low, name)}, {signed(found.high, name)}]" if found.low == found.low else ""
    asked = len(cell.line.seeds)
    _write(axes, row, 0, f"{signed(found.diff, name)}{interval}")
    _write(axes, row, 1, f"{found.n}" if found.n == asked else f"{found.n}/{asked}")
    marks = [mark for mark in cell.marks if mark != cell.overlap]  # of the pairs n says it
    more = "; ".join(filter(None, [*marks, waiting(cell)]))
    up = 0.14 if more else 0.0
    _write(axes, row - up, 2, short(cell.verdict.brief, 48), color=_mark(cell.verdict)[1], weight="bold")
    _write(axes, row + 0.24, 2, short(more, 64), color=SOFT, size=6)
