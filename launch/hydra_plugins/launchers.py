"""Hydra's launchers: `plan`, `local`, `slurm`, `report`. Imported at every start, so what is heavy comes late."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

if TYPE_CHECKING:
    from launch.multirun import Runner


class _Configured(Launcher):
    """Its options are read from Hydra's configuration."""

    def __init__(self, **_: Any) -> None:
        super().__init__()
        self._config: DictConfig | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep the configuration of the whole sweep."""
        self._config = config


class _Sweep(_Configured):
    """Gathers the arms and hands them to what runs them."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """One return for each of these override lists.

        Raises:
            ConfigError: some arms are refused; nothing was started.
        """
        from launch.multirun import launch

        assert self._config is not None
        return launch(self._run(), self._config, job_overrides)

    @abstractmethod
    def _run(self) -> Runner:
        """What runs the arms."""


class Plan(_Sweep):
    """Shows, and starts nothing."""

    def _run(self) -> Runner:
        from launch.plan import run

        return run


class Local(_Sweep):
    """Worker processes on this machine."""

    def _run(self) -> Runner:
        from launch.workers.local import run

        return run


class Slurm(_Sweep):
    """Jobs of a SLURM cluster."""

    def _run(self) -> Runner:
        from launch.slurm.submit import run

        return run


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
