"""Text with letters outside a-z and other signs, which Hydra reads in double quotes only; a shell takes its own off."""

from __future__ import annotations

import re
import shlex

from hydra.errors import HydraException

from launch.compose.arm import parsed


def way(text: str) -> str:
    """What to type instead of a text that is no override; the shell's quotes are around Hydra's."""
    key, equals, value = text.partition("=")
    if not equals:
        return "give key=value"
    if value[:1] in "[{'\"(" and value:
        return "close its brackets and quotes; what has letters outside a-z stands in double quotes: 'key=[\"ü\"]'"
    typed = f"{key}={','.join(map(_quoted, value.split(',')))}"
    return f"type {shlex.quote(typed)}" if _read(typed) else "give key=value"


def _quoted(value: str) -> str:
    """One value of a sweep, in quotes if it needs them."""
    if _read(f"key={value}"):
        return value
    escaped = re.sub(r'(\\*)"', r'\1\1\\"', value)
    return f'"{escaped}"'


def _read(text: str) -> bool:
    try:
        parsed(text)
    except HydraException:
        return False
    return True
