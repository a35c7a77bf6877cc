"""What is typed for a group has to name options: `aug=null`, `sched=nan` and `model=[resnet20]` do not."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from typing import Any

from hydra.core.override_parser.types import Override

from ablation.build import near
from ablation.config import GROUPS, MANY
from ablation.errors import ConfigError
from launch.compose.errors import ALL_GROUPS, OF_HYDRA, offered
from launch.compose.overrides import parsed

_CHOICE = re.compile(rf"[+~]*({'|'.join((*ALL_GROUPS, *OF_HYDRA))})(@[^=]*)?=")


def refuse(overrides: Sequence[str]) -> None:
    """Look at the choices among what was typed; Hydra would end in an error that names none of them.

    Raises:
        ConfigError: what is chosen is no name of an option, or is named twice, or is a list where one option is needed.
        HydraException: not an override.
    """
    for text in filter(_CHOICE.match, overrides):
        override = parsed(text)
        value = override.value()
        if override.is_sweep_override() or isinstance(value, dict):
            continue
        if reason := _wrong(override, overrides):
            raise ConfigError(f"{text}: {reason}")


def _wrong(override: Override, overrides: Sequence[str]) -> str | None:
    """What is wrong with a choice, and what to type."""
    group, value, key = override.key_or_group, override.value(), override.get_key_element()
    if isinstance(value, list):
        return _wrong_list(group, key, value, overrides)
    if isinstance(value, str):
        return None
    if value is None:
        return f"null is no option; {_how_to_choose_none(group, key)}"
    return _misread(group, str(override.input_line).partition("=")[2].strip(), f"{key}={{}}", overrides)


def _wrong_list(group: str, key: str, value: list[Any], overrides: Sequence[str]) -> str | None:
    names = [name for name in value if isinstance(name, str)]
    if group in GROUPS and not value:
        return f"{group} is exactly one option; {_how_to_choose_none(group, key)}"
    if group in GROUPS:
        return f"{group} is exactly one option; type {key}={names[0] if names else 'NAME'}"
    listed = f"{key}=[{','.join(names)}]"
    for item in value:
        if item is None:
            return f"null is no option; type {shlex.quote(listed)}"
        if not isinstance(item, str):
            name = str(item).lower() if isinstance(item, bool) else str(item)
            return _misread(group, name, f"{key}=[{{}}]", overrides)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        return f"{', '.join(twice)} is named twice and would be there once; name it once"
    return None


def _how_to_choose_none(group: str, key: str) -> str:
    if group in MANY:
        return f"for none of them type {shlex.quote(f'{group}=[]')}"
    if group in GROUPS or group in OF_HYDRA:
        return f"give {key}=NAME, one of conf/{group}/"
    return f"leave {key}= out for none"


def _misread(group: str, name: str, form: str, overrides: Sequence[str]) -> str:
    """Of what Hydra reads as a number or a truth value: how it is typed if there is an option of this name."""
    names = offered(group, overrides)
    if name not in names:
        return f"{name} is no option; {near(name, names)}"
    quoted = '"' + name + '"'
    return f"{name} is read as a number or a truth value; type {shlex.quote(form.format(quoted))}"
