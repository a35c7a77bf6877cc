"""Changes of a configuration in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def told(changes: Mapping[str, tuple[Any, Any]]) -> str:
    """In one line, of key -> (was, is): `sched.eta was 1e-05, is 0.0001`."""
    return ", ".join(f"{key} was {_value(a)}, is {_value(b)}" for key, (a, b) in changes.items())


def _value(value: Any) -> str:
    return "not there" if value is None else str(value)
