"""Command lines as text: what Hydra is given, what was typed, and the lines that people are told to type next."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from hydra.core.override_parser.types import ChoiceSweep, OverrideType
from hydra.errors import HydraException

from launch.compose.arm import parsed

_DOTTED = re.compile(r"(?!hydra\.)\w+\.[\w.]+=.")
_CHOICE = re.compile(r"(?P<key>[^=]+)=choice\((?P<value>.*)\)$", re.DOTALL)
_NULLS = "null,null"  # choice(null) is refused by Hydra


def hide_from_hydra(arguments: Sequence[str]) -> list[str]:
    """Arguments for Hydra, of a command line that sweeps."""
    return [_swept(text) if _DOTTED.match(text) else text for text in arguments]


def _swept(text: str) -> str:
    override = parsed(text)
    if override.is_sweep_override() or override.type is not OverrideType.CHANGE:
        return text
    key, _, value = text.partition("=")
    return f"{key}={_NULLS}" if override.value() is None else f"{key}=choice({value})"


def as_typed(overrides: Sequence[str]) -> list[str]:
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


def way_to_type(text: str) -> str:
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


DEFAULT_OUT = Path("results/runs")  # where verbs look unless they are told


def verb_command(words: str, out: Path) -> str:
    """`ablation` with these words, and with the folder of the runs if it is not where verbs look by themselves."""
    out, here = out.resolve(), Path.cwd()
    if out == DEFAULT_OUT.resolve():
        return f"ablation {words}"
    return f"ablation {words} --out {shlex.quote(str(out.relative_to(here) if out.is_relative_to(here) else out))}"
