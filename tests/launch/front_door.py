"""The program as somebody starts it, but in this process; and what may not be said, whatever was typed."""

from __future__ import annotations

import io
import re
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib import import_module
from textwrap import wrap

import pytest
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException
from tiny import CONF

from ablation.config import GROUPS, MANY, SCALARS
from ablation.errors import AblationError
from launch import one_arm
from launch.compose.arms import compose_arms
from launch.compose.errors import message

COLUMNS, LINES = 120, 24  # of a screen


@dataclass(frozen=True)
class Answer:
    code: int
    said: str
    warned: tuple[str, ...] = ()


def start(typed: Sequence[str]) -> Answer:
    """All of the program. What is typed has to keep it from training: a plan, or an `out` that is a file."""
    said, code, warned = io.StringIO(), 0, list[warnings.WarningMessage]()
    with pytest.MonkeyPatch.context() as patch, _listening(said, warned):
        patch.setattr(sys, "argv", ["launch/run.py", *typed])
        patch.setattr(sys, "path", [*sys.path, str(CONF.parent / "launch")])
        _find_plugins()
        patch.setenv("HYDRA_FULL_ERROR", "1")  # the program sets it, for ever
        try:
            one_arm.cli()
        except SystemExit as e:
            code = e.code if isinstance(e.code, int) else 1
    return Answer(code, said.getvalue(), tuple(str(w.message) for w in warned))


def compose(typed: Sequence[str]) -> Answer:
    """Of one arm, what the program does before it trains it. Hydra must be initialized."""
    said, code, warned = io.StringIO(), 0, list[warnings.WarningMessage]()
    with _listening(said, warned):
        try:
            compose_arms([list(typed)])
        except (AblationError, HydraException, OmegaConfBaseException, OSError) as e:
            code = 2
            print(message(e, typed))
    return Answer(code, said.getvalue(), tuple(str(w.message) for w in warned))


def _find_plugins() -> None:
    """Let Hydra know ours: it looks for plug-ins once in a process, which may have been before they could be found."""
    for module, name in (("launchers", "Sweep"), ("launchers", "Report"), ("sweepers", "Grid")):
        Plugins.instance().register(getattr(import_module(f"hydra_plugins.{module}"), name))


@contextmanager
def _listening(said: io.StringIO, warned: list[warnings.WarningMessage]) -> Iterator[None]:
    with warnings.catch_warnings(record=True) as caught, redirect_stdout(said), redirect_stderr(said):
        warnings.simplefilter("always")
        yield
    warned += caught


def complaint(typed: Sequence[str], answer: Answer) -> str:
    """What is wrong with an answer; empty if it is fine."""
    lacking = answer.code == 1 and "lack something" in answer.said  # of a report
    rows = [row for line in answer.said.splitlines() for row in wrap(line, COLUMNS) or [""]]
    if "Unknown plugin" in answer.said:
        return "not our launcher or sweeper"
    if answer.code not in (0, 2) and not lacking:
        return f"exit code {answer.code}"
    if "Traceback" in answer.said or answer.warned:
        return f"a traceback or a warning {answer.warned}"
    if len(rows) > LINES:
        return f"{len(rows)} lines"
    if answer.code == 2 and not _names_something(typed, answer.said):
        return "names nothing that was typed"
    return ""


def _names_something(typed: Sequence[str], said: str) -> bool:
    """Whether a key of a configuration is said, or something that was typed."""
    said = re.sub("^Error executing job.*\\n", "", said, flags=re.MULTILINE)  # Hydra says all that was typed
    if re.search(rf"(^|\s)({'|'.join((*GROUPS, *MANY, *SCALARS))})[.=:]", said):  # a recipe's, perhaps
        return True
    for text in typed:
        key, _, value = text.partition("=")
        parts = {text, key.strip().lstrip("+~"), *re.split(r"[.@/ +~]", key), value.strip()} - {"", "-m"}
        if any(part in said for part in parts):
            return True
    return False
