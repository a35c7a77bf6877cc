"""The options of launchers, checked in one way: a refusal names the key as it is typed, the value, and what to give."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ablation.build import near
from ablation.errors import ConfigError

LAUNCHER = "hydra.launcher"
MOST = 1000  # workers, tries and so on: of more by a slip, the list alone would fill the memory
_HYDRAS = ("_target_", "_recursive_", "_convert_", "_partial_", "_args_")
Options = Mapping[Any, Any]  # of a launcher's node, or of one inside it, whose `path` is then given


def refuse_unknown(node: Options, known: Iterable[str], path: str = LAUNCHER, kind: str = "option") -> None:
    """Let no typing error pass for an option that nobody gave.

    Raises:
        ConfigError: a key is not among the known. Of a launcher's own, those with underscores around are Hydra's.
    """
    known = tuple(known)
    for key in map(str, node):
        if key not in known and not (path == LAUNCHER and key in _HYDRAS):
            raise ConfigError(f"{path}.{key}: no such {kind}; {near(key, known)}")


def truth(node: Options, key: str, path: str = LAUNCHER) -> bool:
    """A truth value; false if the key is not there.

    Raises:
        ConfigError: it is neither true nor false.
    """
    value = node.get(key, False)
    if not isinstance(value, bool):
        raise refused(f"{path}.{key}", value, "true or false")
    return value


def whole(node: Options, key: str, least: int, path: str = LAUNCHER, give: str = "", most: int = MOST) -> int:
    """A whole number; `give` says what else the option takes.

    Raises:
        ConfigError: it is none, or less than `least`, or more than `most`.
    """
    value = node.get(key)
    if type(value) is not int or not least <= value <= most:
        raise refused(f"{path}.{key}", value, f"{give or f'a whole number of at least {least}'}, at most {most}")
    return value


def refused(key: str, value: Any, give: str) -> ConfigError:
    """The error of a value that an option does not take."""
    return ConfigError(f"{key}={typed(value)}: give {give}")


def typed(value: Any) -> str:
    """A value as it is typed: `true`, `null`, `yes`, `' '`."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return value if isinstance(value, str) and re.fullmatch(r"\S.*\S|\S", value) else repr(value)
