"""Hydra's launchers that are none of ours (basic, submitit_slurm): arms are checked before, and what came out is told.

They run the task of `launch/run.py` once for each arm, wait for all, and say next to nothing themselves.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig
from rich.console import Console

from ablation.errors import AblationError
from ablation.store.file_errors import in_words
from launch.compose import overrides, sbatch_options
from launch.compose.arm import Planned, names_of
from launch.compose.arms import compose_rows
from launch.compose.overrides import verb_command
from launch.status.sweep_status import Pending, trial_statuses
from launch.terminal import arm_table

_OURS = "hydra_plugins.launchers."  # with what the paths of our launchers begin


def is_one(config: DictConfig) -> bool:
    """Whether the launcher of a sweep's configuration is none of ours."""
    return not str(config.hydra.launcher._target_).startswith(_OURS)


def launch(launcher: Launcher, config: DictConfig, rows: Sequence[Sequence[str]]) -> Sequence[JobReturn]:
    """Launch the arms of these override lists; how each stands is told afterwards.

    Raises:
        ConfigError: some arms are refused, and nothing was started; or the only one that failed was refused.
        AblationError: arms have failed.
    """
    typed = config.hydra.overrides
    with redirect_stdout(sys.stderr):
        planned, _ = compose_rows(rows, overrides.search_paths(typed.hydra))
    name = str(config.hydra.runtime.choices["hydra/launcher"])
    print(f"note: {_about(name, typed.hydra)}", file=sys.stderr)
    try:
        returns = launcher.launch(rows, initial_job_idx=0)
    except Exception as e:  # of many kinds, for a job that is gone, or that its cluster did not take
        _show(planned)
        raise AblationError(f"hydra/launcher={name}: {_in_a_line(e)}") from e
    _show(planned)
    failed = [job._return_value for job in returns if job.status is JobStatus.FAILED]
    if failed:
        raise _error(failed, len(rows)) from failed[0]
    return returns


def _about(name: str, typed: Sequence[str]) -> str:
    """What a launcher does not do that ours do, and what to type for ours."""
    ours = ["hydra/launcher=slurm" if "slurm" in name else "hydra/launcher=local"]
    if "slurm" in name:
        for text in typed:
            key = overrides.parsed(text).key_or_group
            if key.startswith("hydra.launcher."):
                ours += sbatch_options.translated(key, overrides.parsed(text).value())
    return (
        f"hydra/launcher={name} is none of ours: it runs the arms and waits for them, but freezes no code and tries "
        f"nothing again, and `ablation` does not know the sweep; {shlex.join(ours)} does all that"
    )


def _error(failed: Sequence[BaseException], number: int) -> AblationError:
    """For one failure that itself; for several how many, and the first."""
    if len(failed) == 1 and isinstance(failed[0], AblationError):
        return failed[0]
    first = ", the first" if len(failed) > 1 else ""
    return AblationError(f"{len(failed)} of {number} arms failed{first}: {_in_a_line(failed[0])}")


def _in_a_line(error: BaseException) -> str:
    if isinstance(error, AblationError | OSError):
        return in_words(error)
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _show(planned: Sequence[Planned]) -> None:
    """The arms, how their trials stand by their files, and where these are."""
    out, console = Path(planned[0].config["out"]), Console(highlight=False)
    wanted = [(p, seed) for p in planned for seed in p.seeds]
    trials = trial_statuses(out, wanted, Pending, write=False).trials
    names = names_of(planned)
    failed = next((verb_command(f"logs {t.label}", out) for t in trials if t.state.kind == "failed"), "")
    console.print(names.heading("arms"), markup=False, soft_wrap=True)
    console.print(arm_table.table(arm_table.arm_rows(trials), names, console.width))
    lines = [arm_table.describe_totals(arm_table.totals(trials)), f"run folders {out}", failed and f"why: {failed}"]
    for line in filter(None, lines):
        console.print(line, markup=False, soft_wrap=True)
