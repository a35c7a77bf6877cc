"""Between Hydra's launchers and what runs the arms: override lists in, Hydra's job returns out.

Hydra's own sweepers and its plugins for optimisation can so be used in place of the project's.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from statistics import fmean
from typing import Any, cast

from hydra.core.utils import JobReturn, JobStatus
from hydra.utils import get_method
from omegaconf import DictConfig, OmegaConf

from ablation.errors import AblationError, ConfigError, Stopped
from launch.backends import require_backend
from launch.compose import misread_numbers, overrides
from launch.compose.arm import Planned
from launch.compose.arms import compose_rows
from launch.status.outcome import Outcome, TrialKey, exit_code
from launch.sweep import upload
from launch.terminal.working import working

# Takes the arms, the launcher's options and the line that was typed. Returns what became of the trials if it waited for
# them, else an exit code.
Runner = Callable[[Sequence[Planned], Mapping[str, Any], str], Mapping[TrialKey, Outcome] | int]


def runner(config: DictConfig) -> Runner:
    """The function that a launcher's YAML names as `run`.

    Raises:
        ConfigError: it names none.
    """
    name: Any = OmegaConf.select(config, "hydra.launcher.run")
    try:
        return cast("Runner", get_method(name))
    except (ImportError, ValueError, AttributeError) as e:
        why = str(e).splitlines()[-2:][0]
        raise ConfigError(
            f"hydra.launcher.run={name}: names no function ({why}); give one such as launch.workers.local.run, "
            "and put the folder of one of your own on PYTHONPATH"
        ) from e


def launch(run: Runner, config: DictConfig, job_overrides: Sequence[Sequence[str]]) -> list[JobReturn]:
    """Gather the arms of these override lists and run them; one return a list, in the same order.

    A job has completed if all seeds of its arm are done, or nobody waited for them; its value is the mean test accuracy
    over the seeds in percent. `config` is the sweep's, with Hydra's node.

    Raises:
        ConfigError: some arms are refused; nothing was started.
        Stopped: the run was asked to stop.
    """
    typed = config.hydra.overrides
    options: Any = OmegaConf.to_container(config.hydra.launcher, resolve=True)
    require_backend(options)
    misread_numbers.refuse_typed(typed.hydra)
    search = overrides.search_paths(typed.hydra)
    several = f"{len(job_overrides)} arms" if len(job_overrides) > 1 else "the arm"
    # A trick's module may print; standard output may be for a program.
    with redirect_stdout(sys.stderr), working(f"composing and checking {several}"):
        planned, ids = compose_rows(job_overrides, search)
    for note in upload.tracker_problems(p.config for p in planned):
        print(f"note: {note}", file=sys.stderr)
    result = run(planned, options, overrides.sweep_command(typed.task, typed.hydra))
    outcomes, code = ({}, result) if isinstance(result, int) else (result, exit_code(result))
    if code == 130:
        raise Stopped("stopped; the same command resumes")
    error = _error(outcomes, code) if code else None
    return [_job(row, id_, outcomes, error) for row, id_ in zip(job_overrides, ids, strict=True)]


def _error(outcomes: Mapping[TrialKey, Outcome], code: int) -> AblationError:
    """What is raised for arms that are not done."""
    lost = sum(o.state != "done" for o in outcomes.values())
    message = f"{lost} of {len(outcomes)} trials are not done" if outcomes else "not all trials are done"
    return ConfigError(message) if code == 2 else AblationError(message)


def _job(row: Sequence[str], id_: str, outcomes: Mapping[TrialKey, Outcome], error: AblationError | None) -> JobReturn:
    own = [outcome for (arm, _), outcome in outcomes.items() if arm == id_]
    if error and (not outcomes or any(outcome.state != "done" for outcome in own)):
        return JobReturn(overrides=list(row), status=JobStatus.FAILED, _return_value=error)
    accuracies = [o.test_acc for o in own if o.test_acc is not None]
    value = fmean(accuracies) if accuracies and len(accuracies) == len(own) else None
    return JobReturn(overrides=list(row), status=JobStatus.COMPLETED, _return_value=value)
