"""Accuracy against what it costs, in seconds of training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cbook import pts_to_poststep
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.path import Path
from matplotlib.text import Annotation, Text
from matplotlib.transforms import Bbox

from results.plots.style import INK, SOFT, canvas, heading, place, short, shorts, styled
from results.plots.words import caption, title
from results.tables.metrics import metric
from results.tables.table import Cell, Table
from results.tables.verdict import Kind

_HOW = (
    "A point is the mean over the finished seeds, its bar one standard deviation to both sides (from two seeds on). "
    "The staircase joins the rows that no other row beats in both. Seconds are wall-clock time, which can be compared "
    "only between trainings on the same machine."
)
_MANY = 12  # lines that are named beside their points; more are numbered, with a list
# Where a label may stand, in points from its own, the nearest first; from `_NEAR` on a thin line leads to it.
_SIDES = tuple(
    (side * right, up)
    for right, ups in ((8, (5, -12)), (10, (18, -25)), (24, (30, -38)), (40, (8, -15, 46, -54)), (64, (22, -30)))
    for up in ups
    for side in (1, -1)
)
_NEAR = 4


@styled
def cost(table: Table) -> Figure | None:
    """Metric against mean seconds of training, a point a line; None with fewer than two points."""
    name = table.definition.metric
    cells = [c for c in table.cells if c.summary is not None and "seconds" in c.cost and c.same_as is None]
    if len(cells) < 2 or name == "seconds":
        return None
    labels = shorts([cell.line.label for cell in cells], 34)
    many = len(cells) > _MANY
    figure = canvas(max(4.4, 0.19 * len(cells) + 0.6) if many else 4.4)
    axes = place(figure, 0.7, 0.5, 5.4 if many else 7.9, figure.get_size_inches()[1] - 0.6)
    xs, ys = [cell.cost["seconds"] for cell in cells], [cell.summary.mean for cell in cells if cell.summary]
    best = front(xs, ys, metric(name).more)
    axes.step([xs[n] for n in best], [ys[n] for n in best], where="post", color="#009E73", linewidth=1, zorder=1)
    for n, cell in enumerate(cells):
        _point(axes, cell, xs[n], ys[n], n in best)
    axes.margins(0.12)
    axes.set_xlabel("seconds of training, mean over seeds")
    axes.set_ylabel(metric(name).words)
    axes.grid(color="#eeeeee", linewidth=0.7)
    axes.set_axisbelow(True)
    _name(figure, axes, [str(n + 1) for n in range(len(cells))] if many else labels, xs, ys)
    if many:
        listed = "\n".join(f"{n + 1}  {label}" for n, label in enumerate(labels))
        axes.text(1.03, 1, listed, transform=axes.transAxes, size=7.5, va="top", linespacing=1.5)
    heading(figure, title(table, "against cost"), caption(table, _HOW))
    return figure


def front(xs: Sequence[float], ys: Sequence[float], more: bool = True) -> list[int]:
    """Which points no other beats, cheapest first: less x, and more y (or less)."""
    sign = 1 if more else -1
    found: list[int] = []
    for n in sorted(range(len(xs)), key=lambda n: (xs[n], -sign * ys[n])):
        if not found or sign * ys[n] > sign * ys[found[-1]]:
            found.append(n)
    return found


def _point(axes: Axes, cell: Cell, x: float, y: float, best: bool) -> None:
    assert cell.summary is not None
    colour = "#009E73" if best else SOFT
    if cell.summary.n > 1:
        axes.errorbar(x, y, yerr=cell.summary.std, color=colour, linewidth=1.1, capsize=2)
    shape = "s" if cell.verdict.kind is Kind.BASELINE else "o"
    axes.scatter([x], [y], s=38, marker=shape, color=colour, edgecolors="white", linewidths=0.7, zorder=3)


def _name(figure: Figure, axes: Axes, labels: Sequence[str], xs: Sequence[float], ys: Sequence[float]) -> None:
    """Write each label where it hides no point, no line and no other label, as far as there is such a place."""
    draw = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]
    axes.autoscale_view()  # now, since it is asked where things lie
    points = axes.transData.transform(np.column_stack([xs, ys]))
    taken = [Bbox.from_bounds(x - 5, y - 5, 10, 10) for x, y in points]
    lines = _lines(axes)
    for n in sorted(range(len(labels)), key=lambda n: -ys[n]):
        tries: list[tuple[int, int, Annotation, Bbox]] = []
        for rank, (right, up) in enumerate(_SIDES):
            text = axes.annotate(
                short(labels[n], 44), (xs[n], ys[n]), (right, up), textcoords="offset points", size=8, color=INK,
                ha="left" if right > 0 else "right", arrowprops=_thread(rank),
            )  # fmt: skip
            text.update_positions(draw)
            box = Text.get_window_extent(text, draw)  # of the words alone, without the thin line
            outside = not axes.bbox.contains(box.x0, box.y0) or not axes.bbox.contains(box.x1, box.y1)
            hidden = sum(box.overlaps(other) for other in taken)
            own = _line(points[n], box) if rank >= _NEAR else None
            crossed = sum(_crosses(line, box) for line in lines)
            crossed += sum(_crosses(own, other) for m, other in enumerate(taken) if m != n) if own else 0
            tries.append((3 * hidden + 2 * outside + crossed, rank, text, box))
            if not tries[-1][0]:
                break
        best = min(tries, key=lambda found: found[:2])
        for found in tries:
            if found is not best:
                found[2].remove()
        taken.append(best[3])
        if best[1] >= _NEAR:
            lines.append(_line(points[n], best[3]))


def _line(point: Sequence[float], box: Bbox) -> Path:
    """The thin line from a point to its label."""
    return Path([point, ((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2)])


def _crosses(line: Path, box: Bbox) -> bool:
    return bool(line.intersects_bbox(box, filled=False))


def _lines(axes: Axes) -> list[Path]:
    """The staircase and the bars, where they are drawn in the picture."""
    bars = [path for each in axes.collections if isinstance(each, LineCollection) for path in each.get_paths()]
    stairs = [line for line in axes.lines if line.get_drawstyle() == "steps-post"]
    steps = [Path(pts_to_poststep(line.get_xdata(), line.get_ydata()).T) for line in stairs]
    return [axes.transData.transform_path(path) for path in (*bars, *steps)]


def _thread(rank: int) -> dict[str, object] | None:
    """A thin line to the point of a label that is far from it."""
    if rank < _NEAR:
        return None
    return {"arrowstyle": "-", "color": SOFT, "linewidth": 0.5, "shrinkA": 0, "shrinkB": 3}
