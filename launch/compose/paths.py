"""Where things lie: the project, and the folder of the runs, made before anything is written to it."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ablation.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]  # of the project, or of a frozen copy of it


def make_out(config: Mapping[str, Any]) -> Path:
    """The folder that `out` names, which is there now.

    Raises:
        ConfigError: it cannot be made or written to.
        OSError: the disk is full.
    """
    out = Path(config["out"])
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        if e.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        why = "it is a file" if out.is_file() else f"it cannot be made: {e.strerror}"
    else:
        if os.access(out, os.W_OK | os.X_OK):
            return out
        why = "it cannot be written to"
    raise ConfigError(f"out={out}: {why}; give out= a folder that you may write to, such as out=results/runs")
