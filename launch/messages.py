"""What the terminal says when something is refused or stopped."""

from __future__ import annotations

import errno
import re
import shlex
import sys
from collections.abc import Sequence
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import MissingConfigException, OverrideParseException
from omegaconf import OmegaConf

from ablation.build import near
from ablation.config import GROUPS, MANY, SCALARS
from ablation.errors import Stopped
from ablation.identity import flatten
from launch import later
from launch.provenance import ROOT

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)  # what a disk says during training
_MULTIRUN = "hydra.mode=MULTIRUN"  # what -m adds
_GROUPS = (*GROUPS, *MANY, "recipe", "table")
_AXES = "hydra.sweeper.params"
_OF_HYDRA = ("hydra/launcher", "hydra/sweeper")


def command(overrides: Sequence[str]) -> str:
    """The line that runs one arm again."""
    return shlex.join(["python", "launch/run.py", *overrides])


def sweep_command(task: Sequence[str], hydra: Sequence[str]) -> str:
    """The line that asks for a sweep again: overrides of the configuration, then of Hydra's own."""
    return shlex.join(
        ["python", "launch/run.py", "-m", *later.typed(task), *(text for text in hydra if text != _MULTIRUN)]
    )


def stopped(e: Stopped) -> int:
    """Say where it stopped; the exit code of an interrupted program."""
    print(e, file=sys.stderr)
    return 130


def tell(e: Exception) -> None:
    """Print what went wrong, on standard error."""
    print(f"error: {explain(e)}", file=sys.stderr)


def explain(e: Exception, overrides: Sequence[str] | None = None) -> str:
    """The error in one line, with the nearest valid names if a name was wrong in these overrides (or those typed)."""
    if isinstance(e, MissingConfigException) and "/" in str(e.missing_cfg_file):
        group, option = _missing(str(e.missing_cfg_file))
        return f"{group}={option}: no such option; {near(option, options(group))}"
    if isinstance(e, OverrideParseException):
        return f"{e.override}: is not an override: {str(e).splitlines()[0]}; give key=value, in quotes as a shell wants"
    if isinstance(e, OSError) and e.errno in _FULL:
        return f"{e}; checkpoints written before are whole, and the same command resumes from there"
    unknown = re.search(r"Could not override '([^']+)'", str(e))
    return _unknown_key(unknown[1], sys.argv[1:] if overrides is None else overrides) if unknown else str(e)


def options(group: str) -> list[str]:
    """The names of a group's options, with their folder if they lie deeper: mixup, lab/postact_mixup."""
    folder = ROOT / "conf" / group
    found = (path.relative_to(folder).with_suffix("") for path in folder.rglob("*.yaml"))
    return sorted(name.as_posix() for name in found if not name.name.startswith("_"))


def _missing(path: str) -> tuple[str, str]:
    """Group and option of a file that is not there. Our groups are single words, and their options may have folders."""
    group, _, option = path.partition("/")
    if group in _GROUPS:
        return group, option
    group, _, option = path.rpartition("/")
    return group, option


def _unknown_key(key: str, overrides: Sequence[str]) -> str:
    """What a wrong key may have meant: a key beside it if its group exists, else a group or a top-level key."""
    if key.startswith(_AXES):
        return f"{key}: axes are new keys, which ++ adds: '++{_AXES}={{optim.lr: \"0.1,0.2\"}}'"
    head, _, rest = key.partition(".")
    option = rest.partition(".")[0]
    keys = _keys(overrides)
    chosen = any(k.startswith(f"{head}.{option}.") for k in keys)
    if head in MANY and not chosen and (ROOT / "conf" / head / f"{option}.yaml").exists():
        return f"{key}: {option} is not chosen; add {head}={option}"
    group = key.rpartition(".")[0] if head == "hydra" else head
    beside = [k for k in keys if k.startswith(f"{group}.")]
    return f"{key}: no such key; {near(key, beside if rest and beside else [*_GROUPS, *SCALARS])}"


def _keys(overrides: Sequence[str]) -> list[str]:
    """The dotted keys of the configuration with the options that these overrides choose."""
    chosen = [
        a for a in overrides if re.fullmatch(r"[a-z/]+=[a-z0-9_/]+", a) and a.split("=")[0] in (*_GROUPS, *_OF_HYDRA)
    ]
    if GlobalHydra.instance().is_initialized():
        composed = compose("config", chosen, return_hydra_config=True)
    else:
        with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            composed = compose("config", chosen, return_hydra_config=True)
    config: Any = OmegaConf.to_container(composed, resolve=False)
    return [key for key in flatten(config) if not key.endswith("_target_")]
