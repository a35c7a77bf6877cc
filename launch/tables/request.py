"""What a command line asks for: a table's rows, or those of a sweep without a table, not composed yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

import yaml
from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ablation.errors import ConfigError
from launch.compose import overrides
from launch.compose.errors import message
from launch.compose.grid import Grid, GridRow
from launch.compose.paths import CONF
from launch.tables.file import TABLES, TableHead, read_table
from launch.tables.labels import labels

_TABLE = "table="
_OF_HYDRA = ("hydra.", "hydra/", "+hydra.", "++hydra.")
_HOW_IT_IS_RUN = ("hydra/launcher=", "hydra.launcher.", "hydra.mode=")


@dataclass(frozen=True)
class Request:
    """A table, or a sweep without one, before anything is composed."""

    name: str  # of the table; empty without one
    about: TableHead
    rows: tuple[GridRow, ...]
    labels: tuple[str, ...]  # of the rows
    task: tuple[str, ...]  # overrides of the configuration, but for `table`
    hydra: tuple[str, ...]  # Hydra's own

    @property
    def typed(self) -> list[str]:
        """The overrides of the configuration, `table` among them."""
        return [f"{_TABLE}{self.name}"] * bool(self.name) + list(self.task)


def parse_request(arguments: Sequence[str], rows: tuple[GridRow, ...] | None = None) -> Request:
    """Take a command line apart and expand its grid, unless the rows are known. Hydra must be initialized.

    Raises:
        ConfigError: a mistake in the table, or in what was typed.
    """
    name, given = split_table([text for text in overrides.as_typed(arguments) if text not in ("-m", "--multirun")])
    hydra = [text for text in given if text.startswith(_OF_HYDRA)]
    task = [text for text in given if text not in hydra]
    hydra = [text for text in hydra if not text.startswith(_HOW_IT_IS_RUN)]
    about, grid = read_table(_sweeper_node(name, hydra), name)
    if rows is None:
        rows = tuple(Grid(GlobalHydra.instance().config_loader()).expand(grid, task))
    return Request(name, about, rows, tuple(labels(rows)), tuple(task), tuple(hydra))


def split_table(arguments: Sequence[str]) -> tuple[str, list[str]]:
    """The table that is named, empty without one, and the other arguments.

    Raises:
        ConfigError: more than one is named.
    """
    tables = [text for text in arguments if text.startswith(_TABLE)]
    if len(tables) > 1 or any("," in text for text in tables):
        raise ConfigError(f"{' '.join(tables)}: one table at a time")
    name = tables[0].removeprefix(_TABLE) if tables else ""
    return "" if name == "null" else name, [text for text in arguments if text not in tables]


def _sweeper_node(name: str, hydra: Sequence[str]) -> dict[str, Any]:
    """What `hydra.sweeper` is for a table of this name, or none.

    From the two files if nothing else is said, which is what Hydra would make of them in a hundred times the time.
    """
    files = [CONF / "hydra" / "sweeper" / "grid.yaml", *([TABLES / f"{name}.yaml"] if name else [])]
    values = [_values(file) for file in files if not hydra]
    if values and None not in values:
        return {key: value for each in values if each for key, value in each.items()}
    try:
        typed = [f"{_TABLE}{name}"] * bool(name) + list(hydra)
        node = compose("config", typed, return_hydra_config=True).hydra.sweeper
    except yaml.YAMLError as e:
        raise ConfigError(message(e)) from e
    plain: Any = OmegaConf.to_container(node, resolve=True)
    return dict(plain)


@cache
def _values(file: Path) -> dict[str, Any] | None:
    """What is in a file, as Hydra reads it; None if that is for Hydra to say, as it refers to what is in others."""
    try:
        text = file.read_text(encoding="utf-8")
        values: Any = None if "${" in text or "???" in text else OmegaConf.to_container(OmegaConf.load(StringIO(text)))
    except (OSError, ValueError, RecursionError, yaml.YAMLError, OmegaConfBaseException):
        return None
    return values if isinstance(values, dict) else None
