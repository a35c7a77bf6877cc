"""What a row of a table asks for that does not exist, or not yet."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from typing import Any

from ablation.config import GROUPS, MANY
from launch.compose import errors
from launch.compose.arm import parsed
from launch.compose.paths import ROOT

_OPTIONS = (*GROUPS, *MANY, "recipe")


def absent(overrides: Sequence[str]) -> list[str]:
    """Every option that these overrides choose, for a teacher too, and that has no file: "model=lenet: no such option".

    One look at the files, where composing takes Hydra tens of milliseconds and tells the first only.
    """
    chosen = [pair for text in overrides for pair in _chosen(parsed(text).key_or_group, parsed(text).value())]
    missing = [pair for pair in chosen if not (ROOT / "conf" / pair[0] / f"{pair[1]}.yaml").exists()]
    return list(dict.fromkeys(f"{group}={option}: no such option" for group, option in missing))


def told(error: Exception, overrides: Sequence[str]) -> str:
    """Why a row cannot be composed, without the names that may have been meant."""
    key = re.search(r"Could not override '([^']+)'", str(error))
    if key:
        return f"{key[1]}: no such key"
    return re.split("; (?:did you mean|valid:)", errors.explain(error, overrides))[0]


def _chosen(key: str, value: Any) -> Iterator[tuple[str, str]]:
    """Group and option of every choice that one override makes."""
    if key == "teacher" and isinstance(value, str):
        words = [word for word in shlex.split(value) if "=" in word]
        yield from (pair for word in words for pair in _chosen(parsed(word).key_or_group, parsed(word).value()))
    if key in _OPTIONS:
        options = value if isinstance(value, list) else [value]
        yield from ((key, str(option)) for option in options if isinstance(option, str | int))
