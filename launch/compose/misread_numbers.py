"""What stands in a file of configuration and YAML 1.1 reads as another number: `4:00:00` is 14400, `010` is 8.

Hydra sees the number only, so the files are looked at. On the command line, of which Hydra has a grammar, it is text.
What is a text to SLURM, such as an account, is not read as a number either if it would be printed otherwise: `1_000`.
"""

from __future__ import annotations

import importlib.util
import re
import shlex
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import yaml
from hydra.plugins.config_source import ConfigSource
from omegaconf import OmegaConf

from ablation.config import GROUPS, MANY
from ablation.errors import ConfigError
from launch.compose.paths import CONF
from launch.compose.sbatch_options import TEXTS

_CHEAP = re.compile(r"\d:[0-5]?\d|(?<![\w.])[-+]?0[0-9_]+(?![\w.])")  # what cannot be misread lacks this
_BASE_60, _BASE_8 = re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?"), re.compile(r"[-+]?0[0-7_]+")
_WHOLE = re.compile(r"[-+]?(0|[1-9](_?[0-9])*)")  # to Hydra
_RESOURCES = ("resources", "keeper_resources")
_GROUPS = (*GROUPS, *MANY, "recipe", "table", "hydra")
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")


def refuse(sources: Iterable[ConfigSource]) -> None:
    """Look at every file of options in the folders that Hydra searches.

    Raises:
        ConfigError: names the file, the line, and how the value is to be written; or a file that Hydra passes over.
    """
    for folder in (folder for source in sources for folder in _folders(source)):
        for problem in (*misread_values(folder), *shadowed(folder)):
            raise ConfigError(problem)


def refuse_typed(overrides: Iterable[str]) -> None:
    """Look at what was typed for texts of SLURM: the command line reads `1_000` and `+5` as numbers too.

    Raises:
        ConfigError: names the key, and how the value is to be typed.
    """
    for text in overrides:
        key, _, value = text.partition("=")
        if _for_slurm(tuple(key.split("."))) and _WHOLE.fullmatch(value) and str(int(value)) != value:
            typed = shlex.quote(f'{key}="{value}"')
            raise ConfigError(f"{text}: is read as {int(value)}, and is a text to SLURM; type {typed}")


@cache
def misread_values(folder: Path) -> tuple[str, ...]:
    """A sentence on every misread value in a folder's files and in those of its groups."""
    files = [*folder.glob("*.yaml"), *(file for group in _GROUPS for file in (folder / group).rglob("*.yaml"))]
    # An editor's lock, a dangling link, is no file.
    return tuple(problem for file in sorted(files) if file.is_file() for problem in _misread_in(file))


@cache
def shadowed(folder: Path) -> tuple[str, ...]:
    """A sentence on every file in one's own folder that Hydra passes over: the project has an option of that name."""
    ours = CONF
    if folder.resolve() == ours:
        return ()
    files = [file for group in _GROUPS for file in sorted((folder / group).rglob("*.yaml")) if file.is_file()]
    pairs = [(file, ours / file.relative_to(folder)) for file in files]
    return tuple(
        f"{file}: is never read, since the project has an option of this name ({own}); give yours another name"
        for file, own in pairs
        if own.is_file() and own.read_bytes() != file.read_bytes()
    )


def _folders(source: ConfigSource) -> Iterator[Path]:
    """The folders of a source: of `file://` its path, of `pkg://` those of its package, if it is there and unpacked."""
    if source.scheme() == "file":
        yield Path(source.path)
    elif source.scheme() == "pkg" and source.available():
        spec = importlib.util.find_spec(source.path)
        yield from map(Path, (spec and spec.submodule_search_locations) or [])


def _for_slurm(path: tuple[str, ...]) -> bool:
    """Whether these keys lead to what is a text to SLURM."""
    return len(path) > 1 and path[-2] in _RESOURCES and path[-1].replace("_", "-") in TEXTS


def _misread_in(file: Path) -> Iterator[str]:
    text = file.read_text(encoding="utf-8", errors="replace")
    if not _CHEAP.search(text) and "resources" not in text:
        return
    try:
        nodes = list(_scalars(yaml.compose(text, Loader=yaml.SafeLoader), ()))
    except yaml.YAMLError:
        return  # Hydra says what is wrong with it, if it is used
    for path, node in nodes:
        base = 60 if _BASE_60.fullmatch(node.value) else 8 if _BASE_8.fullmatch(node.value) else 0
        place, quoted = f"{file}, line {node.start_mark.line + 1}: ", f"put it in quotes: '{node.value}'"
        if node.style is not None:
            continue
        if node.tag in _NUMBERS and base:
            number = yaml.safe_load(node.value)
            yield f"{place}{node.value} is {number} to YAML, which reads it in base {base}; {quoted}"
        elif _for_slurm(path):
            read = OmegaConf.create(f"value: {node.value}").value
            if type(read) in (int, float) and str(read) != node.value:
                yield f"{place}{path[-1]}: {node.value} is {read} to YAML, and a text to SLURM; {quoted}"


def _scalars(node: yaml.Node | None, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], yaml.ScalarNode]]:
    """Every value, with the keys that lead to it."""
    if isinstance(node, yaml.ScalarNode):
        yield path, node
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _scalars(item, path)
    elif isinstance(node, yaml.MappingNode):
        for key, item in node.value:
            yield from _scalars(item, (*path, str(key.value)))
