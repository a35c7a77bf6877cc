"""The scalars of a configuration, checked; everything else is checked by the factories it names."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ablation.build import near
from ablation.errors import ConfigError

GROUPS = ("data", "model", "loss", "optim", "sched")  # exactly one option
MANY = ("init", "aug", "regularizer", "track")  # any number of options, in order
SCALARS = (
    "epochs",
    "batch_size",
    "seeds",
    "fuse",
    "precision",
    "compile",
    "device",
    "out",
    "sweep",
    "checkpoint",
    "diverged",
    "lease",
    "trace",
    "teacher",
    "rounds",
    "draws",
)

_CHECKPOINT = ("epochs", "seconds")
_DRAWS = ("own", "seed")
_MOST_EPOCHS = 10_000  # each is a line of the journal, and the schedule is looked at in each
_SEEDS = 1 << 63  # of larger ones the generators would drop the digits in front
_LEASES = (1e-3, 1e7)  # seconds: a process that beats faster does nothing else, and a clock knows no longer wait


@dataclass(frozen=True)
class Scalars:
    """The top-level settings that belong to no group."""

    epochs: int
    batch_size: int
    seeds: tuple[int, ...]
    fuse: bool
    precision: str
    compile: bool
    device: str
    diverged: str  # stop or continue
    lease: float  # seconds without a heartbeat after which a trial's process is taken for dead
    trace: bool  # whether each step's loss and scheduled fields are kept
    teacher: str | None  # the id of the arm whose trial of the same seed is the teacher
    checkpoint_epochs: int  # a checkpoint at least this often; 0: only by the clock and at the end
    checkpoint_seconds: float  # likewise; 0: only by epochs


def seeds(value: Any) -> tuple[int, ...]:
    """`[0, 1, 2]` as it is; an integer n means 0..n-1.

    Raises:
        ConfigError: not a list of different integers in [0, 2**63), or no seed at all.
    """
    listed = list(range(value)) if type(value) is int else value
    good = isinstance(listed, list | tuple) and all(type(s) is int and 0 <= s < _SEEDS for s in listed)
    if not good or not listed or len(set(listed)) != len(listed):
        raise ConfigError(
            f"seeds={value}: give a list of different integers such as 'seeds=[0,1,2]', or their number such as seeds=3"
        )
    return tuple(listed)


def _whole(config: Mapping[str, Any], key: str, least: int, most: float = math.inf) -> int:
    value = config[key]
    if type(value) is not int or not least <= value <= most:
        above = "" if most == math.inf else f" and at most {most}"
        raise ConfigError(f"{key}={value}: give a whole number of at least {least}{above}")
    return value


def _choice(config: Mapping[str, Any], key: str, choices: tuple[Any, ...]) -> Any:
    value = config[key]
    if value not in choices:
        raise ConfigError(f"{key}={value}: {near(str(value), choices)}")
    return value


def _teacher(config: Mapping[str, Any]) -> str | None:
    """The teacher of a resolved configuration."""
    teacher = config["teacher"]
    if teacher is not None and not (isinstance(teacher, str) and re.fullmatch(r"[0-9a-f]{16}", teacher)):
        raise ConfigError(f"teacher={teacher!r}: is not the 16 digits of an id; launch/run.py turns overrides into one")
    if config["rounds"] != 1:
        raise ConfigError(f"rounds={config['rounds']}: counts a chain that begins at a teacher; add teacher=same")
    return teacher


def _lease(config: Mapping[str, Any]) -> float:
    value, (least, most) = config["lease"], _LEASES
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise ConfigError(f"lease={value}: give a number of seconds from {least:g} to {most:g}")
    return float(value)


def _text(config: Mapping[str, Any], key: str) -> str:
    value = config[key]
    if not isinstance(value, str) or not value:
        shown = json.dumps(value) if value != "" else ""  # as it is typed: null, true
        number = isinstance(value, bool | int | float)
        way = f"give it in quotes, '{key}=\"{shown}\"'" if number else "give text"
        raise ConfigError(f"{key}={shown}: names a folder and is no text; {way}")
    return value


def _checkpoint(config: Mapping[str, Any]) -> Mapping[str, Any]:
    node = config["checkpoint"]
    if not isinstance(node, Mapping):
        shown = "null" if node is None else node
        raise ConfigError(f"checkpoint={shown}: set checkpoint.epochs and checkpoint.seconds, 0 for never")
    for key in _CHECKPOINT:
        if key not in node:
            raise ConfigError(f"checkpoint.{key}: is missing")
    for key in node:
        if key not in _CHECKPOINT:
            raise ConfigError(f"checkpoint.{key}: no such key; {near(str(key), _CHECKPOINT)}")
    return node


def scalars(config: Mapping[str, Any]) -> Scalars:
    """Check and take the top-level settings.

    Raises:
        ConfigError: a missing or unknown key, or an impossible value.
    """
    known = (*GROUPS, *MANY, *SCALARS)
    for key in config:
        if key not in known:
            raise ConfigError(f"{key}: no such key; {near(key, known)}")
    for key in known:
        if key not in config:
            raise ConfigError(f"{key}: is missing")
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", str(config["device"])):
        raise ConfigError(f"device={config['device']}: use auto, cpu, cuda or cuda:N")
    if not re.fullmatch(r"[\w][\w.-]{0,99}", _text(config, "sweep")):
        raise ConfigError(f"sweep={config['sweep']}: it names a folder; use letters, digits, '_', '-' and '.'")
    _text(config, "out")
    _choice(config, "draws", _DRAWS)
    checkpoint = _checkpoint(config)
    seconds = checkpoint["seconds"]
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < math.inf:
        raise ConfigError(f"checkpoint.seconds={seconds}: give a number of seconds, 0 for never")
    return Scalars(
        epochs=_whole(config, "epochs", 1, _MOST_EPOCHS),
        batch_size=_whole(config, "batch_size", 1),
        seeds=seeds(config["seeds"]),
        fuse=_choice(config, "fuse", (False, True)),
        precision=_choice(config, "precision", ("auto", "fp32", "bf16", "fp16")),
        compile=_choice(config, "compile", (False, True)),
        device=str(config["device"]),
        diverged=_choice(config, "diverged", ("stop", "continue")),
        lease=_lease(config),
        trace=_choice(config, "trace", (False, True)),
        teacher=_teacher(config),
        checkpoint_epochs=_whole({"checkpoint.epochs": checkpoint["epochs"]}, "checkpoint.epochs", 0),
        checkpoint_seconds=float(seconds),
    )
