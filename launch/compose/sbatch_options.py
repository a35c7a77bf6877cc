"""Options of sbatch: their names, the sizes, times and counts that they take, and where they belong in our launcher.

Users also type the keys that submitit's launcher for Hydra has for them, and are told ours.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from ablation.errors import ConfigError
from launch.compose.overrides import quote_value

TEXTS = (
    "account", "batch", "clusters", "cluster-constraint", "comment", "constraint", "container", "exclude", "extra",
    "gres", "licenses", "mail-type", "mail-user", "mcs-label", "network", "nodefile", "nodelist", "partition", "prefer",
    "qos", "reservation", "wckey",
)  # fmt: skip
DEVICES = ("gpus", "gpus-per-node", "gpus-per-socket", "gpus-per-task")
CORES = ("cpus", "cpus-per-task", "cpus-per-gpu", "cores-per-socket", "sockets-per-node", "threads-per-core", "mincpus")
OTHERS = (
    "acctg-freq", "array", "bb", "bbf", "begin", "chdir", "consolidate-segments", "container-id", "contiguous",
    "core-spec", "cpu-freq", "deadline", "delay-boot", "dependency", "distribution", "error", "exclusive", "export",
    "export-file", "extra-node-info", "get-user-env", "gid", "gpu-bind", "gpu-freq", "gres-flags", "hint", "hold",
    "ignore-pbs", "input", "job-name", "kill-on-invalid-dep", "mem", "mem-bind", "mem-per-cpu", "mem-per-gpu", "nice",
    "no-kill", "no-requeue", "nodes", "ntasks", "ntasks-per-core", "ntasks-per-gpu", "ntasks-per-node",
    "ntasks-per-socket", "oom-kill-step", "open-mode", "output", "overcommit", "oversubscribe", "parsable", "power",
    "priority", "profile", "propagate", "quiet", "reboot", "requeue", "resv-ports", "segment", "signal", "spread-job",
    "stepmgr", "switches", "test-only", "thread-spec", "time", "time-min", "tmp", "tres-bind", "tres-per-task", "uid",
    "umask", "use-min-nodes", "verbose", "wait", "wait-all-nodes", "wrap", "x11",
)  # fmt: skip
_CLOSE = 0.85  # as difflib measures likeness: one letter of four is missing
_KIND = r"\w[\w.-]*"
_GPUS = re.compile(rf"[0-9]+|(({_KIND}:[0-9]+|(?=[\w.-]*[A-Za-z]){_KIND})(,(?!$)|$))+", re.ASCII)
_MIB = {"K": 1 / 1024, "M": 1, "G": 1024, "T": 1024**2}
_NUMBER = r"([0-9]+)"
_TIMES = (
    re.compile(rf"(?P<m>{_NUMBER})(:(?P<s>{_NUMBER}))?"),
    re.compile(rf"(?P<h>{_NUMBER}):(?P<m>{_NUMBER}):(?P<s>{_NUMBER})"),
    re.compile(rf"(?P<d>{_NUMBER})-(?P<h>{_NUMBER})(:(?P<m>{_NUMBER})(:(?P<s>{_NUMBER}))?)?"),
)
_SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
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
_OF_SBATCH = (*_IN_YAML, *TEXTS, *DEVICES, *CORES, "exclusive", "mem-per-cpu", "mem-per-gpu", "tmp")


def mebibytes(key: str, mem: Any) -> int:
    """Memory, such as `8G` or `500M`; a bare number is in MiB already.

    Raises:
        ConfigError: it is not that.
    """
    size = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([KMGT]?)B?", str(mem).strip().upper())
    if not size or float(size[1]) == 0:
        raise ConfigError(f"{key}={mem!r}: should be a size such as 8G or 500M")
    return max(1, round(float(size[1]) * _MIB[size[2] or "M"]))


def size(key: str, mem: Any) -> int | str:
    """Memory as sbatch takes it, which knows neither fractions nor `GB`."""
    return mem if re.fullmatch(r"[0-9]+[KMGT]?", str(mem)) else f"{mebibytes(key, mem)}M"


def seconds(key: str, time: Any) -> int:
    """A time limit: `minutes`, `minutes:seconds`, `hours:minutes:seconds`, `days-hours[:minutes[:seconds]]`.

    Raises:
        ConfigError: it is not that.
    """
    match = next((m for form in _TIMES if (m := form.fullmatch(str(time)))), None)
    if match is None:
        raise ConfigError(f"{key}={time!r}: should be a time such as 240 (minutes), '4:00:00' or 1-12 (days and hours)")
    return sum(_SECONDS[unit] * int(number) for unit, number in match.groupdict().items() if number)


def check_devices(key: str, gpus: Any) -> None:
    """Refuse what is no number of GPUs and no kinds of them, such as `2`, `a100` or `a100:2`.

    Raises:
        ConfigError: it is not that.
    """
    if isinstance(gpus, float) or not _GPUS.fullmatch(str(gpus)):
        raise ConfigError(
            f"{key}={gpus!r}: should be a number of GPUs, 0 for none, or a kind and a number such as a100:1"
        )


def check_cores(key: str, count: Any) -> None:
    """Refuse what is no whole number of one or more.

    Raises:
        ConfigError: it is not that.
    """
    if isinstance(count, float) or not re.fullmatch("0*[1-9][0-9]*", str(count)):
        raise ConfigError(f"{key}={count!r}: should be a whole number of 1 or more, or null for the cluster's own")


def suggest_option(option: str) -> str:
    """The option of sbatch for which this is a typing error; empty if it is one, or like none: sites have their own."""
    options = (*TEXTS, *DEVICES, *CORES, *OTHERS)
    return "" if option in options else next(iter(get_close_matches(option, options, n=1, cutoff=_CLOSE)), "")


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
