"""What the code says of configurations, remembered for other processes: those that it found right, and what they take.

To see that a network can be built, it is built without its memory. That takes 0.1 s and more, after torch was imported
for seconds, and depends on the configuration, this project's code and the libraries alone. There is one file for each
state of these, with a line of JSON for each answer; it may be deleted at any time. What was found wrong is not
remembered, nor is what was said of somebody else's parts.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ablation.build import factory
from ablation.config import scalars
from ablation.store.cache import digest, directory, forget_old
from ablation.track.guarded import sinks
from ablation.trial.program import program_of

_FORMAT = 2  # of a line
_LIBRARIES = ("torch", "torchvision", "timm", "numpy")
_ASIDE = ("out", "sweep", "track")  # what is no part of what is built
_PACKAGE = "ablation"


def _file() -> Path:
    versions = (_FORMAT, sys.version, *map(version, _LIBRARIES))
    return directory() / "checked" / f"{digest(Path(__file__).parents[1], '.py', *versions)}.jsonl"


_FILE = _file()  # now, before the parts are imported


def check(config: Mapping[str, Any]) -> list[str]:
    """Refuse what cannot be run; what a person should know of the rest. Imports the program if it has to be asked.

    Raises:
        ConfigError: names the key, the value and the way out.
    """
    key = _key(config) if _ours(config) else ""
    notes = _recall(key)
    if notes is None:
        notes = program_of(config).check(config)
        _remember(key, notes)
    else:
        scalars(config)  # and with these `out` and `sweep`, which may be others than then
        sinks(config)
    return list(notes)


def arguments(node: Mapping[str, Any], path: str) -> Collection[str]:
    """The names of the arguments that an option's factory takes.

    Raises:
        ConfigError: the node has no `_target_`, or it cannot be imported.
    """
    target = node.get("_target_")
    key = f"arguments of {target}" if _is_ours(target) else ""
    names = _recall(key)
    if names is None:
        names = list(inspect.signature(factory(node, path)).parameters)
        _remember(key, names)
    return names


def _recall(key: str) -> list[str] | None:
    return _known(_FILE).get(key)


def _remember(key: str, said: list[str]) -> None:
    """Where nothing can be written, the next process asks anew; so it does where nothing may be kept, without a key."""
    if not key or not _unedited(_FILE, _imported()):
        return
    _known(_FILE)[key] = said
    with suppress(OSError):
        if not _FILE.exists():
            _FILE.parent.mkdir(parents=True, exist_ok=True)
            _FILE.touch()
            forget_old(_FILE.parent)
        with _FILE.open("ab", buffering=0) as lines:  # at once, so that lines of several processes do not mix
            lines.write(json.dumps([key, said]).encode() + b"\n")


@cache
def _unedited(file: Path, _: int) -> bool:
    """Whether the code is still that of the file: else a module that was imported since may be another than then."""
    return _file() == file


def _imported() -> int:
    """The number of the project's modules that this process has imported so far."""
    return sum(name.startswith(f"{_PACKAGE}.") for name in sys.modules)


@cache
def _known(file: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    with suppress(OSError):
        for line in file.read_bytes().splitlines():
            with suppress(ValueError, TypeError):  # one that was cut off, or damaged
                key, said = json.loads(line)
                found |= {key: said} if isinstance(key, str) and isinstance(said, list) else {}
    return found


def _key(config: Mapping[str, Any]) -> str:
    told = {key: value for key, value in config.items() if key not in _ASIDE}
    return hashlib.sha256(json.dumps(told, default=repr).encode()).hexdigest()[:32]


def _ours(config: Mapping[str, Any]) -> bool:
    told = {key: value for key, value in config.items() if key not in _ASIDE}
    return all(map(_is_ours, _targets(told)))


def _is_ours(target: Any) -> bool:
    return str(target).startswith(f"{_PACKAGE}.")


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
