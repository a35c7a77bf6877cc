"""Values of keys that only the arms of a sweep have: `aug.mixup.alpha` where every arm chooses mixup.

Hydra composes the configuration of a whole sweep without its arms, and would refuse such a key. What sweeps it leaves
to the sweeper; so a value goes past it as a sweep over that one value.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from hydra.core.override_parser.types import ChoiceSweep, OverrideType

from launch.compose.arm import parsed

_DOTTED = re.compile(r"(?!hydra\.)\w+\.[\w.]+=.")
_CHOICE = re.compile(r"(?P<key>[^=]+)=choice\((?P<value>.*)\)$", re.DOTALL)
_NULLS = "null,null"  # choice(null) is refused by Hydra


def past(arguments: Sequence[str]) -> list[str]:
    """Arguments for Hydra, of a command line that sweeps."""
    return [_swept(text) if _DOTTED.match(text) else text for text in arguments]


def _swept(text: str) -> str:
    override = parsed(text)
    if override.is_sweep_override() or override.type is not OverrideType.CHANGE:
        return text
    key, _, value = text.partition("=")
    return f"{key}={_NULLS}" if override.value() is None else f"{key}=choice({value})"


def typed(overrides: Sequence[str]) -> list[str]:
    """The overrides as they were typed."""
    return [_plain(text) for text in overrides]


def _plain(text: str) -> str:
    key, _, told = text.partition("=")
    if told == _NULLS:
        return f"{key}=null"
    found = _CHOICE.match(text)
    if not found:
        return text
    value = parsed(text).value()
    one = isinstance(value, ChoiceSweep) and not value.simple_form and len(value.list) == 1
    return f"{found['key']}={found['value']}" if one else text
