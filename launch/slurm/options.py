"""The options of `hydra/launcher=slurm`, checked, and as flags of sbatch."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ablation.errors import ConfigError
from launch.checks import no_effect
from launch.compose import sbatch_options
from launch.compose.sbatch_options import mebibytes, seconds, size
from launch.status import retry_policy
from launch.status.retry_policy import Policy, Resources
from launch.sweep.launcher_options import LAUNCHER, refuse_unknown, refused, truth, whole
from launch.workers.process import TAKE_TURNS

# What each resource is called by sbatch; any other key is one of sbatch's own long options.
_FLAGS = {"gpus": "gpus-per-node", "cpus": "cpus-per-task"}
_RESERVED = (
    "array", "dependency", "job-name", "signal", "output", "error", "open-mode", "chdir", "export", "nodes", "wrap",
    "parsable", "quiet", "test-only", "wait",
)  # fmt: skip
_TASKS = ("ntasks", "ntasks-per-node", "tasks-per-node", "ntasks-per-gpu")
_TIMES = ("time", "time-min")
_SIZES = ("mem", "mem-per-cpu", "mem-per-gpu", "tmp")
_SWITCHES = (
    "exclusive",
    "requeue",
    "no-requeue",
    "oversubscribe",
    "overcommit",
    "contiguous",
    "spread-job",
    "use-min-nodes",
    "hold",
    "no-kill",
    "reboot",
)
_KEEPER_MINUTES = 60  # it waits for SLURM and for a tracker, should they be away
_WARNING_EARLY = 60  # seconds by which SLURM may send it too early
_LONGEST_GRACE = 65_535  # seconds, which SLURM counts in 16 bits
_MOST_JOBS = 1_000_000
_KEYS = (
    "kind",  # of submissions from before `backend`
    "run", "backend", "resources", "pack", "chain", "parallel", "wait", "keeper", "keeper_resources", "canary", "check",
    "grace", "setup", "python", "retry",
)  # fmt: skip

Flags = dict[str, Any]  # sbatch's long options without the dashes


@dataclass(frozen=True)
class SlurmOptions:
    """How trials are put into jobs, and what jobs ask for."""

    resources: Mapping[str, Any]
    pack: int  # trials side by side on one device
    chain: int  # trials one after another in one place
    parallel: int | None  # jobs of an array at one time
    wait: bool
    keeper: bool
    keeper_resources: Mapping[str, Any]
    canary: bool
    check: no_effect.Budget  # for switches that change nothing; auto: not on a login node
    grace: int  # seconds before the time limit at which trials save and stop
    setup: tuple[str, ...]  # shell lines before the trials, such as `module load cuda`
    python: str  # the shell's words that start a job's interpreter; empty: the one that submits
    policy: Policy

    @property
    def room(self) -> Resources:
        """What a trial is given at first."""
        mem = self.resources.get("mem")
        return Resources(self.pack, None if mem is None else mebibytes("hydra.launcher.resources.mem", mem))

    @property
    def devices(self) -> int:
        """GPUs of a job, at least one place to train."""
        return max(1, _count(self.resources.get("gpus")))

    @property
    def gpu(self) -> bool:
        """Whether a job asks for GPUs, in any of sbatch's ways."""
        return any("gpu" in f"{flag}={value}" for flag, value in _flags(self.resources).items() if flag[0] == "g")

    @property
    def notes(self) -> list[str]:
        """What is allowed, but may not be what was meant: trials side by side that wait for each other."""
        slots, cpus, found = self.pack * self.devices, self.resources.get("cpus"), []
        if self.gpu and self.pack > 1:
            found.append(TAKE_TURNS.format(option=f"pack={self.pack}"))
        if self.pack > 1 and (cpus is None or (str(cpus).isdigit() and int(cpus) < slots)):
            given = "the cluster's default, often one" if cpus is None else str(cpus)
            found.append(
                f"{slots} trials of a job run side by side, and its cores are {given}: give "
                f"hydra.launcher.resources.cpus={slots} or more, so that no trial waits for another's cores"
            )
        return found

    def flags(self, room: Resources) -> Flags:
        """What a job of trials asks for."""
        flags = _flags(self.resources)
        if room.mem_mib is not None and room.mem_mib != self.room.mem_mib:
            # sbatch takes one way to ask for memory; what it is per core or GPU no longer holds.
            flags = {k: v for k, v in flags.items() if not k.startswith("mem-per-")} | {"mem": f"{room.mem_mib}M"}
        if room.exclude:
            flags["exclude"] = ",".join([*filter(None, [flags.get("exclude")]), *room.exclude])
        return flags

    def keeper_flags(self) -> Flags:
        """What the keeper asks for: its own, and of the trials' only where and for whom."""
        shared = {key: self.resources.get(key) for key in ("partition", "qos", "account")}
        flags = _flags({**shared, **self.keeper_resources})
        return {"time": self._keeper_minutes(), **flags}

    def _keeper_minutes(self) -> int:
        """No longer than a job of trials may take, since a partition that allows no more would never start it."""
        time = self.resources.get("time")
        longest = math.inf if time is None else seconds("hydra.launcher.resources.time", time) // 60
        return int(max(1, min(_KEEPER_MINUTES, longest)))


def read(node: Mapping[str, Any]) -> SlurmOptions:
    """The options of a launcher's node.

    Raises:
        ConfigError: an unknown key, or a value that cannot be.
    """
    for key in {str(key) for key in node if not str(key).startswith("_")} - {*_KEYS}:
        if meant := sbatch_options.suggest(key, node[key], slurm=True):
            raise ConfigError(f"{LAUNCHER}.{key}: no such option; {meant}")
    refuse_unknown(node, _KEYS)
    resources, keeper_resources = _resources(node, "resources"), _resources(node, "keeper_resources")
    parallel, grace = node.get("parallel"), whole(node, "grace", 1, most=_LONGEST_GRACE)
    time = resources.get("time")
    if time is not None and seconds("hydra.launcher.resources.time", time) <= grace + _WARNING_EARLY:
        raise ConfigError(
            f"hydra.launcher.resources.time={time}: is over before training gets anywhere, since trials save and stop "
            f"hydra.launcher.grace={grace} seconds before, or up to {_WARNING_EARLY} earlier"
        )
    return SlurmOptions(
        resources=resources,
        pack=whole(node, "pack", 1),
        chain=whole(node, "chain", 1, most=_MOST_JOBS),
        parallel=None if parallel is None else whole(node, "parallel", 1, most=_MOST_JOBS),
        wait=truth(node, "wait"),
        keeper=truth(node, "keeper"),
        keeper_resources=keeper_resources,
        canary=truth(node, "canary"),
        check=no_effect.NO_CHECK if node.get("check", "auto") == "auto" else no_effect.read(node),
        grace=grace,
        setup=_lines(node.get("setup")),
        python=_command(node.get("python")),
        policy=retry_policy.read({} if node.get("retry") is None else node["retry"]),
    )


def _resources(node: Mapping[str, Any], key: str) -> dict[str, Any]:
    found = {} if node.get(key) is None else node[key]
    if not isinstance(found, Mapping):
        raise refused(f"{LAUNCHER}.{key}", found, "a mapping such as {mem: 8G, time: 240}")
    for name, value in found.items():
        _check_resource(f"hydra.launcher.{key}.{name}", str(name), value)
    return dict(found)


def _check_resource(path: str, name: str, value: Any) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9_-]*", name):
        raise ConfigError(f"{path}: should be the plain name of one of sbatch's long options, such as reservation")
    if name.replace("_", "-") in _RESERVED:
        raise ConfigError(f"{path}: is set by the launcher; leave it out")
    if name.replace("_", "-") in _TASKS:
        raise ConfigError(
            f"{path}: a job is one task, which starts a process for each of its trials (hydra.launcher.pack on each "
            "GPU); leave it out"
        )
    if isinstance(value, Mapping | list):
        raise ConfigError(f"{path}={value!r}: should be one value, as sbatch takes it")
    if isinstance(value, str) and "\n" in value:
        raise ConfigError(f"{path}={value!r}: should be one line")
    option = name.replace("_", "-")
    if meant := sbatch_options.suggest_option(option):
        raise ConfigError(f"{path}: no such option of sbatch; did you mean {meant}?")
    if isinstance(value, bool) and option not in _SWITCHES:
        raise ConfigError(
            f"{path}={str(value).lower()}: is a truth value, as yes, no, on and off are in YAML; put text in quotes, "
            f"or give null for the cluster's own; switches are {', '.join(_SWITCHES)}"
        )
    if isinstance(value, float) and option in sbatch_options.TEXTS:
        raise ConfigError(
            f"{path}={value!r}: is a text to SLURM, and was read as a number; put it in quotes: '\"TEXT\"'"
        )
    if option in sbatch_options.DEVICES and value is not None:
        sbatch_options.check_devices(path, value)
    if option in sbatch_options.CORES and value is not None:
        sbatch_options.check_cores(path, value)
    if option in _TIMES and value is not None:
        seconds(path, value)
    if option in _SIZES and value is not None:
        mebibytes(path, value)


def _flags(resources: Mapping[str, Any]) -> Flags:
    """Without what is null or false; `gpus: 0` asks for none."""
    named = {_FLAGS.get(key, key.replace("_", "-")): value for key, value in resources.items()}
    named |= {key: size(key, named[key]) for key in _SIZES if named.get(key) is not None}
    none = named.get("gpus-per-node") == 0
    return {k: v for k, v in named.items() if v is not None and v is not False and not (none and k == "gpus-per-node")}


def _count(gpus: Any) -> int:
    """Of `2` or `a100:2`; one if only a kind is named."""
    last = str(gpus or 0).rpartition(":")[2]
    return int(last) if last.isdigit() else 1


def _lines(setup: Any) -> tuple[str, ...]:
    setup = [] if setup is None else setup
    if not isinstance(setup, list | tuple) or not all(isinstance(line, str) for line in setup):
        raise refused(f"{LAUNCHER}.setup", setup, "a list of shell lines, such as ['module load cuda']")
    return tuple(setup)


def _command(python: Any) -> str:
    if python is None:
        return ""
    if not isinstance(python, str) or not python.strip() or "\n" in python:
        raise refused(f"{LAUNCHER}.python", python, "a command such as /path/to/venv/bin/python")
    return python
