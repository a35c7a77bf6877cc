"""What the terminal says when something is refused or stopped."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Sequence
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException, MissingConfigException
from omegaconf import OmegaConf

from ablation.build import near
from ablation.config import GROUPS, MANY, SCALARS
from ablation.errors import Stopped
from ablation.identity import flatten
from launch.provenance import ROOT

_GROUPS = (*GROUPS, *MANY, "recipe")


def command(overrides: Sequence[str]) -> str:
    """The line that runs one arm again."""
    return shlex.join(["python", "launch/run.py", *overrides])


def stopped(e: Stopped) -> int:
    """Say where it stopped; the exit code of an interrupted program."""
    print(e, file=sys.stderr)
    return 130


def refused(e: Exception) -> int:
    """Say what was wrong; 2 for a mistake that nothing was run for, else 1."""
    print(f"{type(e).__name__}: {explain(e)}", file=sys.stderr)
    return 2 if isinstance(e, HydraException) or type(e).__name__ in ("ConfigError", "DataError") else 1


def explain(e: Exception) -> str:
    """The error in one line, with the nearest valid names if a name was wrong."""
    if isinstance(e, MissingConfigException) and e.options is not None:
        group, _, option = str(e.missing_cfg_file).rpartition("/")
        return f"{group}={option}: no such option; {near(option, e.options)}"
    unknown = re.search(r"Could not override '([^']+)'", str(e))
    if unknown:
        key = unknown[1]
        return f"{key}: no such key; {near(key, _valid_keys(key))}"
    return str(e)


def _valid_keys(key: str) -> list[str]:
    """Names a wrong key may have meant: of its own group if that exists, else all groups and top-level keys."""
    head = key.split(".")[0]
    if "." not in key or head not in _GROUPS:
        return [*_GROUPS, *SCALARS]
    GlobalHydra.instance().clear()
    chosen = [a for a in sys.argv[1:] if re.fullmatch(r"[a-z]+=[^.,]+", a) and a.split("=")[0] in _GROUPS]
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config: Any = OmegaConf.to_container(compose("config", chosen), resolve=False)
    return [k for k in flatten(config) if k.startswith(f"{head}.")]
