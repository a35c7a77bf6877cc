"""Where things lie: the project, and the folder of the runs, made before anything is written to it."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path
from tempfile import gettempdir
from typing import Any

from ablation.errors import ConfigError
from ablation.store.file_errors import in_words, unwritable

ROOT = Path(__file__).resolve().parents[2]  # of the project, or of a frozen copy of it, or where pip has installed it
_IN_CHECKOUT, _IN_WHEEL = ROOT / "conf", ROOT / "launch" / "conf"  # setup.py puts it there
CHECKOUT = _IN_CHECKOUT.is_dir() and not _IN_WHEEL.is_dir()  # or a copy of one
CONF = _IN_CHECKOUT if CHECKOUT else _IN_WHEEL  # the options, one YAML each

_WAY_OUT = "give out= a folder that you may write to, such as out=results/runs"


def ensure_home() -> None:
    """Set HOME where there is none, as for a user without a name in a container: libraries look for `~`."""
    if os.path.expanduser("~") == "~":
        os.environ["HOME"] = os.path.join(gettempdir(), f"home-{os.geteuid()}")
        print(f"note: HOME is not set and user {os.geteuid()} has none; it is {os.environ['HOME']}", file=sys.stderr)


def require_tmp() -> None:
    """Refuse to begin where no temporary file can be written, which torch wants before anything else.

    Raises:
        ConfigError: there is no such folder.
    """
    try:
        gettempdir()
    except FileNotFoundError as e:
        raise ConfigError(f"{e.strerror}; set TMPDIR to a folder that you may write to, and that is not full") from e


def require_working_folder() -> None:
    """Refuse to start where nothing relative can be found.

    Raises:
        ConfigError: the folder that this process is in was deleted.
    """
    try:
        os.getcwd()
    except FileNotFoundError as e:
        was = os.environ.get("PWD", "the folder that you are in")
        raise ConfigError(f"{was}: was deleted while you are in it; cd to a folder that is there, and try again") from e


def look_at_out(config: Mapping[str, Any]) -> Path:
    """The folder that `out` names, whether it is there or not.

    Raises:
        ConfigError: there is a file in its place, or in that of a folder above it.
    """
    out = Path(config["out"])
    try:
        there = next(place for place in (out, *out.parents) if place.exists())
    except OSError as e:  # such as a name that is too long
        raise ConfigError(f"out={out}: {in_words(e)}") from e
    if not there.is_dir():
        raise ConfigError(f"out={out}: {'it' if there == out else there} is a file; {_WAY_OUT}")
    return out


def make_out(config: Mapping[str, Any], inside: Iterable[str] = ()) -> Path:
    """The folder that `out` names, which is there now. What is `inside` of it already can be written to as well.

    So nothing is begun where a part of it is another user's, or a file system does not let itself be written to.

    Raises:
        ConfigError: it cannot be made or written to.
        OSError: the disk is full.
    """
    out = look_at_out(config)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as e:
        why = f"it cannot be made: {e.strerror}; {_WAY_OUT}"
    except OSError as e:
        if e.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        why = in_words(e)
    else:
        there = (out / name for name in inside if (out / name).exists())
        why = next(filter(None, (unwritable(path, out) for path in chain([out], there))), "")
    if why:
        raise ConfigError(f"out={out}: {why}")
    return out
