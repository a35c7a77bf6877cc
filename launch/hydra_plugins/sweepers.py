"""The sweeper that knows the grid language. Hydra imports this at every start, so what is heavy is imported late."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

_OF_TABLES = ("title", "source")  # what a table says of itself
_TABLE = "table="


class Grid(Sweeper):
    """Expands the grid under `hydra.sweeper` and the command line, and gives the launcher all arms in one call."""

    def __init__(self, **grid: Any) -> None:
        super().__init__()
        self._grid = {key: value for key, value in grid.items() if key not in _OF_TABLES}
        self._context: HydraContext | None = None
        self._launcher: Launcher | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Make the launcher."""
        self._context = hydra_context
        self._launcher = Plugins.instance().instantiate_launcher(hydra_context, task_function, config)

    def sweep(self, arguments: list[str]) -> Sequence[JobReturn]:
        """Launch every arm. What a launcher returns as failed is raised.

        Raises:
            ConfigError: a mistake in the grid.
            HydraException: not an override.
        """
        from ablation.errors import ConfigError
        from launch.grid import Grid as Language

        assert self._context is not None
        assert self._launcher is not None
        tables = [text for text in arguments if text.startswith(_TABLE)]
        if any("," in text for text in tables):
            raise ConfigError(f"{tables[-1]}: one table at a time")
        language = Language(self._context.config_loader)
        rows = language.expand(self._grid, [text for text in arguments if text not in tables])
        for note in language.notes:
            print(f"note: {note}", file=sys.stderr)
        returns = self._launcher.launch([list(row.overrides) for row in rows], initial_job_idx=0)
        for job in returns:
            if job.status is JobStatus.FAILED:
                raise job._return_value  # `return_value` would print the overrides first, and the launcher has told
        return returns
