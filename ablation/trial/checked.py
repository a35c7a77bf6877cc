"""Configurations that were found right, remembered for other processes.

To see that a network can be built, it is built without its memory. That takes 0.1 s and more, and depends on the
configuration, this project's code and the libraries alone. There is one file for each state of these, with a line of
JSON for each configuration; it may be deleted at any time. What was found wrong is not remembered, nor is a
configuration that names somebody else's parts.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ablation.store.cache import digest, directory, forget_old

_FORMAT = 1  # of a line
_LIBRARIES = ("torch", "torchvision", "timm", "numpy")
_ASIDE = ("out", "sweep", "track")  # what is no part of what is built


def _file() -> Path:
    versions = (_FORMAT, sys.version, *map(version, _LIBRARIES))
    return directory() / "checked" / f"{digest(Path(__file__).parents[1], '.py', *versions)}.jsonl"


_FILE = _file()  # now, before the parts are imported: what is edited from here on is not what this process checks


def recall(config: Mapping[str, Any]) -> list[str] | None:
    """What there was to say of a configuration when it was checked; None if it is not known to be right."""
    notes = _known(_FILE).get(_key(config)) if _ours(config) else None
    return None if notes is None else list(notes)


def remember(config: Mapping[str, Any], notes: list[str]) -> None:
    """It is right, and this is to be said of it. Where nothing can be written, the next process checks it anew."""
    if not _ours(config):
        return
    file, key = _FILE, _key(config)
    _known(file)[key] = notes
    with suppress(OSError):
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
            forget_old(file.parent)
        with file.open("ab", buffering=0) as lines:  # at once, so that lines of several processes do not mix
            lines.write(json.dumps([key, notes]).encode() + b"\n")


@cache
def _known(file: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    with suppress(OSError):
        for line in file.read_bytes().splitlines():
            with suppress(ValueError, TypeError):  # one that was cut off, or damaged
                key, notes = json.loads(line)
                found |= {key: notes} if isinstance(key, str) and isinstance(notes, list) else {}
    return found


def _key(config: Mapping[str, Any]) -> str:
    told = {key: value for key, value in config.items() if key not in _ASIDE}
    return hashlib.sha256(json.dumps(told, default=repr).encode()).hexdigest()[:32]


def _ours(config: Mapping[str, Any]) -> bool:
    told = {key: value for key, value in config.items() if key not in _ASIDE}
    return all(str(target).startswith("ablation.") for target in _targets(told))


def _targets(value: Any) -> Iterator[Any]:
    """Of every option at any depth: the factory that it names."""
    if isinstance(value, Mapping):
        if "_target_" in value:
            yield value["_target_"]
        for part in value.values():
            yield from _targets(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _targets(part)
