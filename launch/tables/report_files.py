"""The files of a report, in every format: the same runs give the same bytes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ablation.errors import ConfigError
from ablation.store.atomic import write_atomic

if TYPE_CHECKING:
    import pandas as pd

    from results.tables.table import Table


def write(table: Table, frame: pd.DataFrame, uri: str, folder: Path, best: bool) -> list[Path]:
    """`NAME.md`, `.csv`, `.tex`, `.json`, the page `NAME.html` and its pictures, in a folder, which is made.

    Slashes in the table's name become `_`. `frame` has the runs in the tracker at `uri`, which is empty without one.
    Returns the files, the page first.

    Raises:
        ConfigError: a file is in the folder's place.
    """
    from results.page import page
    from results.page.pictures import by_epoch
    from results.read import curves
    from results.render import csv, json, latex, markdown
    from results.trackers.frame import paths

    _check_folder(folder)
    metrics = [by_epoch(table)]
    points = curves(uri, frame, metrics) if uri else paths(frame, [], metrics)
    files = page.write(table, frame, points, folder, best)
    texts = {
        "md": markdown.render(table, best),
        "csv": csv.render(table),
        "tex": latex.render(table, best),
        "json": json.render(table),
    }
    for kind, text in texts.items():
        files.append(folder / f"{table.definition.name.replace('/', '_')}.{kind}")
        write_atomic(files[-1], text.encode())
    return files


def publish_files(table: Table, frame: pd.DataFrame, uri: str, files: list[Path]) -> None:
    """Bring these files to MLflow: to the table's one run of kind `report`, in the experiment of most of its runs.

    Raises:
        ConfigError: nothing was recorded.
    """
    from results.page.publish import home, publish

    publish(uri, home(frame), table.definition.name, files)


def _check_folder(folder: Path) -> None:
    """Refuse a folder that cannot be made, before the table is drawn."""
    there = next((path for path in (folder, *folder.parents) if path.exists()), folder)
    if there.exists() and not there.is_dir():
        raise ConfigError(f"hydra.launcher.to={folder}: {there} is a file; name a folder, which is made if need be")
