"""Where options of SLURM belong in our launcher: those that submitit's launcher for Hydra has, and sbatch's own."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from launch.compose import units
from launch.compose.overrides import quote_value

_LAUNCHER, _MORE = "hydra.launcher.", "additional_parameters"
_OF_SUBMITIT = {  # keys of hydra/launcher=submitit_slurm, and those of hydra/launcher=slurm
    "timeout_min": "resources.time",
    "cpus_per_task": "resources.cpus",
    "gpus_per_node": "resources.gpus",
    "mem_gb": "resources.mem",
    "array_parallelism": "parallel",
    "signal_delay_s": "grace",
    "max_num_timeout": "retry.time_limit.tries",
}
_NOT_NEEDED = {
    "nodes": "a job is one task on one node",
    "tasks_per_node": "a job is one task on one node",
    "name": "jobs are called after the sweep (sweep=NAME)",
    "submitit_folder": "what jobs write lies in the submission's folder",
    "stderr_to_stdout": "a job has one log",
}
_IN_YAML = ("partition", "qos", "account", "constraint", "gpus", "cpus", "mem", "time")  # others are new keys
_OF_SBATCH = (*_IN_YAML, *units.TEXTS, *units.DEVICES, *units.CORES, "exclusive", "mem-per-cpu", "mem-per-gpu", "tmp")


def translated(key: str, value: Any) -> list[str]:
    """The overrides of `hydra/launcher=slurm` that mean what this key of a launcher was to mean, if there are any."""
    key = key.removeprefix(_LAUNCHER).removeprefix(f"{_MORE}.")
    if key == _MORE and isinstance(value, Mapping):
        return [override for name, each in value.items() for override in translated(str(name), each)]
    option = key.replace("_", "-")
    text = (
        str(value).lower() if isinstance(value, bool) else quote_value(f"{value}G" if key == "mem_gb" else str(value))
    )
    if key in _OF_SUBMITIT:
        return [f"{_LAUNCHER}{_OF_SUBMITIT[key]}={text}"]
    if option in _OF_SBATCH:
        return [f"{'' if option in _IN_YAML else '+'}{_LAUNCHER}resources.{option}={text}"]
    return []


def suggest(key: str, value: Any, slurm: bool) -> str:
    """What a key that our launchers do not have may have meant; empty if it is of no kind that is known.

    `slurm`: hydra/launcher=slurm is chosen already.
    """
    key = key.removeprefix(_LAUNCHER)
    if key in _NOT_NEEDED and slurm:
        return f"{_NOT_NEEDED[key]}; leave it out"
    meant = translated(key, value)
    if not meant:
        return ""
    return f"did you mean {shlex.join([*([] if slurm else ['hydra/launcher=slurm']), *meant])}?"
