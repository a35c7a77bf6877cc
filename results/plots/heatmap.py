"""Heat-map of a sweep over two axes."""

from __future__ import annotations

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ablation.errors import ConfigError
from results.plots.axes import axes
from results.plots.style import INK, canvas, heading, place, short, shorts, styled
from results.plots.words import caption, number, title
from results.tables.metrics import metric
from results.tables.table import Cell, Table
from results.tables.verdict import Kind

_HOW = (
    "A cell has the mean ± standard deviation over seeds, and their number n (of the seeds asked for, if some are "
    "missing); darker is better. A hatched cell has nothing to show, and says why. The framed cell is the baseline."
)
_BOX = (1.15, 0.55)  # inches of a cell
_LEFT = 1.9


@styled
def heatmap(table: Table) -> Figure:
    """Mean of every combination of the two things that vary.

    Raises:
        ConfigError: it is not two things that vary.
    """
    found = axes([cell.line for cell in table.cells])
    if found is None:
        raise ConfigError(
            f"{table.definition.name}: has no heat map, since its rows are not a grid of two keys that vary"
        )
    down, across = sorted(found, key=lambda axis: len(axis.values), reverse=True)
    grid = {(down.places[c.line.label], across.places[c.line.label]): c for c in reversed(table.cells) if c.line.config}
    width, height = _BOX[0] * len(across.values), _BOX[1] * len(down.values)
    figure = canvas(height + 0.7, max(7.0, _LEFT + width + 0.3))
    plane = place(figure, _LEFT, 0.2, width, height)
    plane.set_xlim(-0.5, len(across.values) - 0.5)
    plane.set_ylim(len(down.values) - 0.5, -0.5)
    plane.set_xticks(range(len(across.values)), shorts(list(across.values), 16))
    plane.set_yticks(range(len(down.values)), shorts(list(down.values), 22))
    plane.tick_params(length=0, top=False, labeltop=True, bottom=False, labelbottom=False)
    plane.set_xlabel(short(across.name, 40), weight="bold")
    plane.xaxis.set_label_position("top")
    plane.set_ylabel(short(down.name, 40), weight="bold")
    shades = _shades(list(grid.values()), table.definition.metric)
    for x, y in ((x, y) for y in range(len(down.values)) for x in range(len(across.values))):
        _box(plane, (x, y), grid.get((y, x)), shades, table)
    for spine in plane.spines.values():
        spine.set_visible(False)
    heading(figure, title(table, f"{metric(table.definition.metric).words}"), caption(table, _HOW))
    return figure


def _shades(cells: list[Cell], name: str) -> dict[str, float]:
    """0 (worst) to 1 (best) for each line with a mean, by label."""
    means = {cell.line.label: cell.summary.mean for cell in cells if cell.summary is not None}
    if not means:
        return {}
    low, wide = min(means.values()), float(np.ptp(list(means.values()))) or 1.0
    more = metric(name).more
    return {label: (mean - low) / wide if more else 1 - (mean - low) / wide for label, mean in means.items()}


def _box(plane: Axes, at: tuple[int, int], cell: Cell | None, shades: dict[str, float], table: Table) -> None:
    (x, y), name = at, table.definition.metric
    corner = (x - 0.5, y - 0.5)
    shade = None if cell is None else shades.get(cell.line.label)
    if cell is None or cell.summary is None or shade is None:
        plane.add_patch(Rectangle(corner, 1, 1, facecolor="white", edgecolor="#c8c8c8", hatch="////", linewidth=0.5))
        plane.text(x, y, _why(cell), size=7, color=INK, ha="center", va="center", bbox=_PAPER)
        return
    colour = colormaps["cividis_r"](0.05 + 0.8 * shade)
    plane.add_patch(Rectangle(corner, 1, 1, facecolor=colour, edgecolor="white", linewidth=1))
    if cell.verdict.kind is Kind.BASELINE:
        inner = (corner[0] + 0.03, corner[1] + 0.05)
        plane.add_patch(Rectangle(inner, 0.94, 0.9, facecolor="none", edgecolor=INK, linewidth=1.6))
    ink = "white" if 0.3 * colour[0] + 0.59 * colour[1] + 0.11 * colour[2] < 0.5 else INK
    found, asked = cell.summary, len(cell.line.seeds)
    spread = f" ± {number(found.std, name)}" if found.n > 1 else ""
    plane.text(x, y - 0.12, f"{number(found.mean, name)}{spread}", size=8, color=ink, ha="center", va="center")
    n = f"n {found.n}" if found.n == asked else f"n {found.n}/{asked}"
    plane.text(x, y + 0.26, n, size=6.5, color=ink, ha="center", va="center")


_PAPER = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}


def _why(cell: Cell | None) -> str:
    if cell is None:
        return "not asked for"
    return short(
        (cell.line.lacks and "cannot be run yet") or cell.refused or ", ".join(dict.fromkeys(cell.waiting.values())), 20
    )
