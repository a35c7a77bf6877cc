"""Where what can be made again is kept."""

from __future__ import annotations

import os
from pathlib import Path


def directory(cache: str | None = None) -> Path:
    """The argument, else the variable ABLATION_CACHE, else ~/.cache/ablation."""
    return Path(cache or os.environ.get("ABLATION_CACHE") or "~/.cache/ablation").expanduser()
