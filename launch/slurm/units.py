"""Sizes and times as sbatch takes them."""

from __future__ import annotations

import re
from typing import Any

from ablation.errors import ConfigError

_MIB = {"K": 1 / 1024, "M": 1, "G": 1024, "T": 1024**2}
_NUMBER = r"([0-9]+)"
_TIMES = (
    re.compile(rf"(?P<m>{_NUMBER})(:(?P<s>{_NUMBER}))?"),
    re.compile(rf"(?P<h>{_NUMBER}):(?P<m>{_NUMBER}):(?P<s>{_NUMBER})"),
    re.compile(rf"(?P<d>{_NUMBER})-(?P<h>{_NUMBER})(:(?P<m>{_NUMBER})(:(?P<s>{_NUMBER}))?)?"),
)
_SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}


def mebibytes(key: str, mem: Any) -> int:
    """Memory, such as `8G` or `500M`; a bare number is in MiB already.

    Raises:
        ConfigError: it is not that.
    """
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([KMGT]?)B?", str(mem).strip().upper())
    if not found or float(found[1]) == 0:
        raise ConfigError(f"{key}={mem!r}: should be a size such as 8G or 500M")
    return max(1, round(float(found[1]) * _MIB[found[2] or "M"]))


def size(key: str, mem: Any) -> int | str:
    """Memory as sbatch takes it, which knows neither fractions nor `GB`."""
    return mem if re.fullmatch(r"[0-9]+[KMGT]?", str(mem)) else f"{mebibytes(key, mem)}M"


def seconds(key: str, time: Any) -> int:
    """A time limit: `minutes`, `minutes:seconds`, `hours:minutes:seconds`, `days-hours[:minutes[:seconds]]`.

    Raises:
        ConfigError: it is not that.
    """
    found = next((match for form in _TIMES if (match := form.fullmatch(str(time)))), None)
    if found is None:
        raise ConfigError(f"{key}={time!r}: should be a time such as 240 (minutes), '4:00:00' or 1-12 (days and hours)")
    return sum(_SECONDS[unit] * int(number) for unit, number in found.groupdict().items() if number)
