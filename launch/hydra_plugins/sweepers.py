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


class Grid(Sweeper):
    """Expands the grid under `hydra.sweeper` and the command line, and gives the launcher all arms in one call."""

    def __init__(self, **sweeper: Any) -> None:
        super().__init__()
        self._sweeper = sweeper
        self._context: HydraContext | None = None
        self._launcher: Launcher | None = None
        self._config: DictConfig | None = None
        self._typed: Sequence[str] = ()  # Hydra's own overrides

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Make the launcher."""
        self._context, self._config = hydra_context, config
        self._typed = list(config.hydra.overrides.hydra)
        self._launcher = Plugins.instance().instantiate_launcher(hydra_context, task_function, config)

    def sweep(self, arguments: list[str]) -> Sequence[JobReturn]:
        """Launch every arm. What a launcher returns as failed is raised.

        Raises:
            ConfigError: a mistake in the grid or the table.
            HydraException: not an override.
        """
        from ablation.errors import ConfigError
        from launch.compose import overrides
        from launch.compose.arms import Refused, one_by_one
        from launch.compose.grid import Grid as Language
        from launch.tables.definition import composable
        from launch.tables.file import read_table
        from launch.tables.request import split_table
        from launch.terminal import other_launchers

        assert self._context is not None
        assert self._launcher is not None
        assert self._config is not None
        table, others = split_table(overrides.as_typed(arguments))
        about, grid = read_table(self._sweeper, table)
        language = Language(self._context.config_loader)
        rows = language.expand(grid, others)
        for note in language.notes:
            print(f"note: {note}", file=sys.stderr)
        rows = composable(rows, self._typed) if about.incomplete == "skip" else rows
        try:
            lists = [list(row.overrides) for row in rows]
            if other_launchers.is_one(self._config):
                return other_launchers.launch(self._launcher, self._config, lists)
            returns = self._launcher.launch(lists, initial_job_idx=0)
        except Refused as e:
            if not table:
                told = one_by_one([row.overrides for row in rows], self._typed)
                if told:
                    raise ConfigError(f"{e}\n{told}") from e
            if not table or len(rows) == 1:
                raise
            raise ConfigError(f"{e}\nhydra.sweeper.incomplete=skip leaves them out") from e
        for job in returns:
            if job.status is JobStatus.FAILED:
                raise job._return_value  # `return_value` would print the overrides first, and the launcher has told
        return returns
