"""Forest plot: how far each line of a table is from its baseline, and how surely."""

from __future__ import annotations

import math
from collections.abc import Iterator
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
    "bootstrap interval. Each dot is a pair, of one seed. A hollow diamond is the difference that was reported."
)
_BEYOND = " An arrow at the border stands for what lies beyond it: a mark, a dot, or the end of an interval."
_EXTREME = 5  # times as far as half of the rows reach, at most, does the axis
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
    beyond = max(extents(cells, table.definition.metric), default=0.0) > limit
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
    heading(figure, title(table, "difference to the baseline"), caption(table, _HOW + _BEYOND * beyond))
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
    """How far the axis goes to both sides: to all there is, but for a row that would squash the others."""
    far = extents(cells, name)
    farthest = max(far, default=0.0)
    typical = float(np.median(far)) if len(far) > 3 else farthest
    return 1.08 * (min(farthest, _EXTREME * typical) or farthest) or 1.0


def extents(cells: tuple[Cell, ...], name: str) -> list[float]:
    """Of each row that has something to draw: how far from 0 its farthest mark, dot or end of an interval is."""
    known = {cell.line.label: cell for cell in cells}
    rows = [(cell, known.get(cell.line.against or "")) for cell in cells]
    drawn = [[abs(x) for x in _drawn(cell, base, name) if math.isfinite(x)] for cell, base in rows]
    return [max(row) for row in drawn if row]


def _drawn(cell: Cell, base: Cell | None, name: str) -> Iterator[float]:
    """Where a row has a mark, a dot, or the end of an interval; nan where an interval is not known."""
    if (gap := reported(cell, base, name)) is not None:
        yield gap
    if (found := cell.comparison) is not None and base is not None:
        yield from (found.diff, found.low, found.high, found.boot_low, found.boot_high)
        yield from differences(cell, base) if found.paired else ()


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
    _interval(axes, (found.low, found.high), row, limit, colour, 2.4)
    _interval(axes, (found.boot_low, found.boot_high), row + 0.2, limit, colour, 0.9)
    for pair in pairs if found.paired else ():
        outside = abs(pair) > limit
        axes.scatter(
            [_inside(pair, limit)],
            [row - 0.24],
            s=12 if outside else 7,
            marker=_arrow(pair) if outside else "o",
            color=colour,
            alpha=0.75,
            linewidths=0,
            zorder=3,
            clip_on=False,
        )
    _point(axes, found.diff, row, limit, shape, colour)


def _interval(axes: Axes, ends: tuple[float, float], row: float, limit: float, colour: str, width: float) -> None:
    """A line; where it goes on beyond the border it ends there in an arrow. None where it is not known."""
    if not all(map(math.isfinite, ends)):
        return
    axes.plot([_inside(x, limit) for x in ends], [row, row], color=colour, lw=width, solid_capstyle="butt", zorder=3)
    for x in {math.copysign(limit, end) for end in ends if abs(end) > limit}:
        looks: dict[str, Any] = {"color": colour, "linewidths": 0, "zorder": 4, "clip_on": False}
        axes.scatter([_inside(x, limit)], [row], s=14 * width, marker=_arrow(x), **looks)


def _inside(x: float, limit: float) -> float:
    """Where a thing is drawn: in its place, or at the border beyond which that is, with room for an arrow."""
    return x if abs(x) <= limit else math.copysign(0.97 * limit, x)


def _arrow(x: float) -> str:
    return "<" if x < 0 else ">"


def _point(axes: Axes, x: float, row: int, limit: float, shape: str, colour: str, hollow: bool = False) -> None:
    """A mark, or an arrow at the border towards where it would be."""
    axes.scatter(
        [_inside(x, limit)],
        [row],
        s=26 if hollow else 42,
        marker=_arrow(x) if abs(x) > limit else shape,
        facecolors="none" if hollow else colour,
        edgecolors=INK if hollow else "white",
        linewidths=1.1 if hollow else 0.6,
        zorder=5,
        clip_on=False,
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
