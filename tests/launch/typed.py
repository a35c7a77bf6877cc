"""What somebody typed, by the way that the command goes."""

from __future__ import annotations

from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode

from launch.compose import overrides
from launch.compose.grid import Grid
from launch.compose.overrides import for_hydra


def expanded(typed: list[str]) -> list[list[str]]:
    """The overrides of every arm of a command line. Hydra must be initialized."""
    given = for_hydra(typed)
    swept = "-m" in given
    loader = GlobalHydra.instance().config_loader()
    mode = RunMode.MULTIRUN if swept else RunMode.RUN
    config = loader.load_configuration("config", [text for text in given if text != "-m"], mode)
    task = list(config.hydra.overrides.task)
    return [list(row.overrides) for row in Grid(loader).expand({}, overrides.as_typed(task))] if swept else [task]
