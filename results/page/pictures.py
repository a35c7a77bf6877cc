"""Which pictures a table has: those that have something to show."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from results.plots import axes, cost, curves, forest, heatmap
from results.tables.table import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def pictures(table: Table, points: pd.DataFrame) -> dict[str, Figure]:
    """Figures by name: forest, heatmap, curves, cost.

    Args:
        table: Any.
        points: The frame of `results.read.curves` with `by_epoch(table)`.
    """
    made: dict[str, Figure | None] = {
        "forest": forest.forest(table) if forest.compares(table) else None,
        "heatmap": heatmap.heatmap(table) if axes.axes([cell.line for cell in table.cells]) else None,
        "curves": curves.curves(table, points, by_epoch(table)),
        "cost": cost.cost(table),
    }
    return {name: figure for name, figure in made.items() if figure is not None}


def by_epoch(table: Table) -> str:
    """The metric of the learning curves: the table's own, where it is measured every epoch."""
    name = table.definition.metric
    measured = name.endswith(("_acc", "_loss")) and not name.startswith("best_")
    return name if measured else "test_acc"
