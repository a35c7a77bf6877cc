"""The arms of a report: those that the other launchers would run, and those that cannot be composed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from omegaconf import DictConfig

from ablation.errors import ConfigError
from launch.compose import errors
from launch.compose.arm import plain
from launch.compose.composer import Composer
from launch.compose.grid import Row
from launch.plan import runs
from launch.sweep.upload import tracker
from launch.tables.definition import compositions, definition
from launch.tables.request import request
from results.tables.definition import Definition

_OURS = "grid"  # the sweeper whose rows have labels


@dataclass(frozen=True)
class Arms:
    """What is asked for, and where it is recorded."""

    definition: Definition
    tracker: str  # an MLflow URI; empty: none
    out: Path  # where their run folders are, which a report can do without


def asked(config: DictConfig, job_overrides: Sequence[Sequence[str]]) -> Arms:
    """The arms of a sweep. `config` is the sweep's, with Hydra's node; another sweeper's rows are taken as they come.

    Raises:
        ConfigError: a mistake in the grid or the table, or arms that are recorded in different places.
    """
    typed = config.hydra.overrides
    ours = config.hydra.runtime.choices["hydra/sweeper"] == _OURS
    rows = None if ours else tuple(Row(tuple(row)) for row in job_overrides)
    # The options of another sweeper mean nothing to ours.
    wanted = request([*typed.task, *(typed.hydra if ours else errors.searched(typed.hydra))], rows)
    composed = compositions(wanted.rows, errors.searched(wanted.hydra))
    configs = [arms[-1].config for arms in composed if isinstance(arms, list)]
    recorded = [text for text in wanted.task if text.startswith(("track", "out="))]  # other keys may lack their rows
    configs = configs or [plain(Composer(errors.searched(wanted.hydra))(recorded).config)]
    found = sorted({tracker(each, Path.cwd()) for each in configs})
    if len(found) > 1 and not config.hydra.launcher.uri:
        told = ", ".join(uri or "nowhere" for uri in found)
        raise ConfigError(f"track: these arms are not recorded in one place ({told}); choose with hydra.launcher.uri=")
    command = runs(errors.sweep_command(typed.task, typed.hydra))
    return Arms(replace(definition(wanted, composed), command=command), found[0], Path(configs[0]["out"]))
