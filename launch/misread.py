"""What stands in a file of configuration and YAML 1.1 reads as another number: `4:00:00` is 14400, `010` is 8.

Hydra sees the number only, so the files are looked at. On the command line, of which Hydra has a grammar, it is text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import yaml
from hydra.plugins.config_source import ConfigSource

from ablation.config import GROUPS, MANY
from ablation.errors import ConfigError

_CHEAP = re.compile(r"\d:[0-5]?\d|(?<![\w.])[-+]?0[0-9_]+(?![\w.])")  # what cannot be misread lacks this
_BASE_60, _BASE_8 = re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?"), re.compile(r"[-+]?0[0-7_]+")
_GROUPS = (*GROUPS, *MANY, "recipe", "table", "hydra")
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")


def refuse(sources: Iterable[ConfigSource]) -> None:
    """Look at every file of options in the folders that Hydra searches.

    Raises:
        ConfigError: names the file, the line, and how the value is to be written.
    """
    for source in sources:
        if source.scheme() == "file":
            for said in misread(Path(source.path)):
                raise ConfigError(said)


@cache
def misread(folder: Path) -> tuple[str, ...]:
    """Every such value in a folder's files and in those of its groups, as a sentence."""
    files = [*folder.glob("*.yaml"), *(file for group in _GROUPS for file in (folder / group).rglob("*.yaml"))]
    # An editor's lock, a dangling link, is no file.
    return tuple(said for file in sorted(files) if file.is_file() for said in _in(file))


def _in(file: Path) -> Iterator[str]:
    text = file.read_text(encoding="utf-8", errors="replace")
    if not _CHEAP.search(text):
        return
    try:
        nodes = list(_scalars(yaml.compose(text, Loader=yaml.SafeLoader)))
    except yaml.YAMLError:
        return  # Hydra says what is wrong with it, if it is used
    for node in nodes:
        base = 60 if _BASE_60.fullmatch(node.value) else 8 if _BASE_8.fullmatch(node.value) else 0
        if node.style is None and node.tag in _NUMBERS and base:
            number = yaml.safe_load(node.value)
            yield (
                f"{file}, line {node.start_mark.line + 1}: {node.value} is {number} to YAML, which reads it in base "
                f"{base}; put it in quotes: '{node.value}'"
            )


def _scalars(node: yaml.Node | None) -> Iterator[yaml.ScalarNode]:
    if isinstance(node, yaml.ScalarNode):
        yield node
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _scalars(item)
    elif isinstance(node, yaml.MappingNode):
        for _, item in node.value:
            yield from _scalars(item)
