"""A report's files: the same runs give the same bytes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ablation.atomic import write_atomic

if TYPE_CHECKING:
    from results.table import Table


def write(table: Table, folder: Path, best: bool) -> None:
    """`NAME.md`, `.csv`, `.tex` and `.json` in a folder, which is made; slashes in the table's name become `_`."""
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
