"""A table as one page that needs nothing else: no script, no network. The same runs give the same bytes."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from ablation.store.atomic import write_atomic
from results.page.pictures import pictures
from results.plots.save import render
from results.render.grid import grid
from results.tables.metrics import metric
from results.tables.table import Cell, Table
from results.trackers.frame import IMAGES

_MACHINE = ("commit", "torch", "device", "precision")
_ALT = {
    "forest": "differences to the baseline with their intervals",
    "heatmap": "means over the two axes of the sweep",
    "curves": "learning curves",
    "cost": "accuracy against seconds of training",
}


@dataclass(frozen=True)
class Group:
    """Facts that several trials share, and how many."""

    words: tuple[str, ...]
    trials: int
    lines: tuple[str, ...]  # labels, with seeds


def write(table: Table, runs: pd.DataFrame, curves: pd.DataFrame, folder: Path, best: bool = False) -> list[Path]:
    """Write `NAME.html`, and each picture as `NAME-PICTURE.png` and `.svg`, into a folder, which is made.

    Args:
        table: From `results.tables.table.build`.
        runs: The frame that it was built from, of `results.read.runs`.
        curves: Of `results.read.curves`, with `by_epoch(table)`.
        folder: Slashes in the table's name become `_`.
        best: Show the best epochs' accuracy too, a selection on the test set.

    Returns:
        The files, the page first.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = table.definition.name.replace("/", "_")
    drawn = {
        f"{name}-{picture}.{form}": render(figure, form)
        for picture, figure in pictures(table, curves).items()
        for form in ("png", "svg")
    }
    shown = {_ALT[file.removeprefix(f"{name}-")[:-4]]: image for file, image in drawn.items() if file.endswith(".svg")}
    files = {f"{name}.html": page(table, runs, shown, best).encode()} | drawn
    for file, content in files.items():
        write_atomic(folder / file, content)
    for picture in _ALT:  # of an earlier report, with nothing to show any more
        for form in ("png", "svg"):
            if f"{name}-{picture}.{form}" not in files:
                (folder / f"{name}-{picture}.{form}").unlink(missing_ok=True)
    return [folder / file for file in files]


def page(table: Table, runs: pd.DataFrame, images: dict[str, bytes], best: bool = False) -> str:
    """The page as HTML.

    Args:
        table: From `results.tables.table.build`.
        runs: The frame that it was built from.
        images: What an SVG shows, in words -> its bytes.
        best: Show the best epochs' accuracy too.
    """
    environment = Environment(
        loader=PackageLoader("results.page", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    own = runs[runs["id"].isin([cell.line.id for cell in table.cells if cell.line.id])]
    return environment.get_template("page.html.j2").render(
        table=table,
        grid=grid(table, best),
        seeds=sorted({seed for cell in table.cells for seed in cell.line.seeds}),
        by_seed=[(cell, by_seed(cell, table)) for cell in table.cells],
        images={words: b64encode(image).decode() for words, image in images.items()},
        machines=grouped(own, _MACHINE, table.cells),
        data=grouped(own[own["status"] == "FINISHED"], [f"data.{word}" for word in IMAGES], table.cells),
        data_heads=IMAGES,
        failures=grouped(own[own["status"] == "FAILED"], ["cause"], table.cells),
    )


def by_seed(cell: Cell, table: Table) -> dict[int, str]:
    """What each seed of a line says, or why it says nothing."""
    digits = metric(table.definition.metric).digits
    return dict(cell.waiting) | {seed: f"{value:.{digits}f}" for seed, value in cell.values.items()}


def grouped(runs: pd.DataFrame, columns: Sequence[str], cells: Sequence[Cell]) -> list[Group]:
    """Trials of the seeds asked for that agree in all columns, in the order of the table."""
    found: dict[tuple[str, ...], dict[str, list[int]]] = {}
    for cell in cells:
        own = runs[(runs["id"] == cell.line.id) & runs["seed"].isin(list(cell.line.seeds))]
        if cell.same_as is not None:
            continue
        for row in own.to_dict("records"):
            words = tuple(str(row.get(column) or "not recorded") for column in columns)
            found.setdefault(words, {}).setdefault(cell.line.label, []).append(int(row["seed"]))
    return [
        Group(
            words,
            sum(map(len, lines.values())),
            tuple(
                f"{label} (seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))})" for label, seeds in lines.items()
            ),
        )
        for words, lines in found.items()
    ]
