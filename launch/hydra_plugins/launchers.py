"""Hydra's launchers: `Sweep` for all that run arms, and `Report`. Imported at every start: what is heavy comes late."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class _Configured(Launcher):
    """Its options are read from Hydra's configuration."""

    def __init__(self, **_: Any) -> None:
        super().__init__()
        self._config: DictConfig | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep the configuration of the whole sweep."""
        self._config = config


class Sweep(_Configured):
    """Gathers the arms and hands them to the function that the launcher's YAML names as `run`."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """One return for each of these override lists.

        Raises:
            ConfigError: some arms are refused; nothing was started.
        """
        from launch.multirun import launch, runner

        assert self._config is not None
        return launch(runner(self._config), self._config, job_overrides)


class Report(_Configured):
    """Reads what came out, and starts nothing. Arms that cannot be composed are lines too."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """One return for each of these override lists; failed if the table lacks something.

        Raises:
            ConfigError: an option that cannot be, or no tracker.
        """
        from launch.tables.report import launch

        assert self._config is not None
        return launch(self._config, job_overrides)
