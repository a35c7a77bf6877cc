"""A report's files: the same runs give the same bytes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ablation.atomic import write_atomic

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from results.table import Table


def write(table: Table, frame: pd.DataFrame, uri: str, folder: Path, best: bool) -> None:
    """`NAME.md`, `.csv`, `.tex` and `.json`, and pictures `NAME-forest.png`, `.svg` and others, in a folder.

    The folder is made; slashes in the table's name become `_`. `frame` has the runs in the tracker at `uri`.
    """
    from results.plots.save import save
    from results.render import csv, json, latex, markdown

    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        "md": markdown.render(table, best),
        "csv": csv.render(table),
        "tex": latex.render(table, best),
        "json": json.render(table),
    }
    name = table.definition.name.replace("/", "_")
    for kind, text in texts.items():
        write_atomic(folder / f"{name}.{kind}", text.encode())
    for kind, figure in pictures(table, frame, uri).items():
        save(figure, folder / f"{name}-{kind}")


def pictures(table: Table, frame: pd.DataFrame, uri: str) -> dict[str, Figure]:
    """Those that say something: the forest plot needs runs, a heat-map two things that vary."""
    if frame.empty:
        return {}
    from results.plots.axes import axes
    from results.plots.cost import cost
    from results.plots.curves import curves
    from results.plots.forest import forest
    from results.plots.heatmap import heatmap
    from results.read import curves as read

    metric = table.definition.metric
    metric = metric if metric.endswith(("_acc", "_loss")) and not metric.startswith("best_") else "test_acc"  # by epoch
    found = {
        "forest": forest(table),
        "curves": curves(table, read(uri, frame, [metric]), metric),
        "cost": cost(table),
        "heatmap": heatmap(table) if axes([cell.line for cell in table.cells]) else None,
    }
    return {kind: figure for kind, figure in found.items() if figure is not None}
