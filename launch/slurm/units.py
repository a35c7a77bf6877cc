"""Sizes and times as sbatch takes them."""

from __future__ import annotations

import re
from typing import Any

from ablation.errors import ConfigError

_MIB = {"K": 1 / 1024, "M": 1, "G": 1024, "T": 1024**2}


def mebibytes(mem: Any) -> int:
    """Memory, such as `8G` or `500M`; a bare number is in MiB already.

    Raises:
        ConfigError: it is not that.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]?)B?", str(mem).strip().upper())
    if not found or float(found[1]) == 0:
        raise ConfigError(f"hydra.launcher.resources.mem={mem!r}: should be a size such as 8G or 500M")
    return max(1, round(float(found[1]) * _MIB[found[2] or "M"]))


def seconds(time: Any) -> int:
    """A time limit: `minutes`, `minutes:seconds`, `hours:minutes:seconds`, `days-hours[:minutes[:seconds]]`.

    Raises:
        ConfigError: it is not that.
    """
    days, dash, clock = str(time).rpartition("-")
    parts = clock.split(":")
    if not all(part.isdigit() for part in [*parts, days or "0"]) or len(parts) > 3:
        raise ConfigError(
            f"hydra.launcher.resources.time={time!r}: should be a time such as 240 (minutes), '4:00:00' or 1-12"
        )
    numbers = [int(part) for part in parts]
    if dash or len(parts) == 3:
        hours, minutes, rest = [*numbers, 0, 0][:3]
    else:
        hours, minutes, rest = 0, numbers[0], numbers[1] if len(numbers) > 1 else 0
    return ((int(days or 0) * 24 + hours) * 60 + minutes) * 60 + rest
