"""What depends on the version of Hydra: 1.3, or 1.4 and later."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from hydra import __version__, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from ablation.errors import ConfigError
from launch.compose.paths import CONF

_OLD = tuple(map(int, __version__.split(".")[:2])) < (1, 4)
# 1.3 warns if its base is not named, 1.4 if it is.
BASE: dict[str, Any] = {"version_base": "1.3"} if _OLD else {}


def check(python: tuple[int, int] = sys.version_info[:2], old: bool = _OLD) -> None:
    """Refuse a Hydra that cannot start on this Python.

    Raises:
        ConfigError: it cannot.
    """
    if old and python >= (3, 14):
        raise ConfigError(
            f"Hydra {__version__} does not start on Python {python[0]}.{python[1]}: install a later one "
            "(pip install --pre 'hydra-core>=1.4.0rc1'), or use Python 3.11, 3.12 or 3.13"
        )


def initialized() -> initialize_config_dir:
    """Inside, Hydra composes the configurations of this project."""
    return initialize_config_dir(str(CONF), **BASE)


def running() -> AbstractContextManager[Any]:
    """The Hydra that runs, or a new one for this project's configurations."""
    return nullcontext() if GlobalHydra.instance().is_initialized() else initialized()
