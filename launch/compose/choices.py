"""What is typed for a group has to name options: `aug=null`, `sched=nan` and `model=[resnet20]` do not.

Where options of one's own are looked for has to be there: Hydra only warns of a search path that is not.
"""

from __future__ import annotations

import importlib.util
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Override, OverrideType

from ablation.build import near
from ablation.config import GROUPS, MANY
from ablation.errors import ConfigError
from launch.compose.errors import ALL_GROUPS, OF_HYDRA, offered
from launch.compose.overrides import parsed

_SEARCH = "hydra.searchpath"
_CHOICE = re.compile(rf"[+~]*({'|'.join((*ALL_GROUPS, *OF_HYDRA))})(@[^=]*)?=")


def refuse(overrides: Sequence[str]) -> None:
    """Look at the choices among what was typed; Hydra would end in an error that names none of them.

    Raises:
        ConfigError: what is chosen is no name of an option, or is named twice, or is a list where one option is needed;
            a search path is not there, or Hydra would pass it over.
        HydraException: not an override.
    """
    _refuse_search([text for text in overrides if _SEARCH in text])
    for text in filter(_CHOICE.match, overrides):
        override = parsed(text)
        value = override.value()
        if override.is_sweep_override() or isinstance(value, dict):
            continue
        if reason := _wrong(override, overrides):
            raise ConfigError(f"{text}: {reason}")


def _refuse_search(overrides: Sequence[str]) -> None:
    paths = [(text, read) for text in overrides if (read := parsed(text)).key_or_group == _SEARCH]
    for number, (text, read) in enumerate(paths):
        if number or read.type is not OverrideType.CHANGE:
            raise ConfigError(f"{text}: Hydra passes this over; give all folders in one {_SEARCH}=[file://A,file://B]")
        value = read.value()
        for path in value if isinstance(value, list) else []:  # of anything else Hydra says that it is no list of texts
            if isinstance(path, str) and (reason := _why_not_searched(path)):
                raise ConfigError(f"{_SEARCH}: {path} {reason}; correct it, or leave it out")


def _why_not_searched(path: str) -> str:
    """Empty if it can be searched, or if it is of a scheme that Hydra alone knows."""
    scheme, _, place = path.rpartition("://")
    if scheme == "pkg":
        return "" if _importable(place.replace("/", ".").rstrip(".")) else "is no package that can be imported"
    folder = Path(place).absolute()
    if scheme not in ("", "file") or folder.is_dir():
        return ""
    return "is a file, and no folder" if folder.exists() else f"names the folder {folder}, which is not there"


def _importable(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):
        return False


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
