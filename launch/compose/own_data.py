"""Images of one's own in a configuration, which are identified by a digest of their bytes and not by their path.

The digest is found when a configuration is composed; without it a run cannot be begun.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ablation.data.check import given
from ablation.errors import ConfigError
from ablation.trial.program import program_of
from launch.compose.arm import Config

_BY_ARGUMENTS = (
    "data: {target} is identified by its arguments only: when the images in its files change, a run on them still "
    "counts as done. If it reads files, name them by an argument path, and give the factory an argument content and "
    "its YAML content: null"
)
Find = Callable[[Config], str | None]  # a configuration -> the digest of its images, None if they are not here


def digest_finder() -> Find:
    """Gives the digest of a configuration's images, looking once at every path: a thousand arms may share one."""
    digests: dict[tuple[str, str, str | None], str | None] = {}

    def find(config: Config) -> str | None:
        node = config["data"]
        place = node["_target_"], node["path"], node.get("cache")
        if place not in digests:
            digests[place] = program_of(config).content(config, lambda text: print(text, file=sys.stderr, flush=True))
        return digests[place]

    return find


def with_digest(config: Config, find: Find) -> tuple[Config, list[str]]:
    """The configuration with the digest of its images and with their absolute path.

    And a note if they are not here, or if a factory of the user's own gets no digest.

    Raises:
        ConfigError: a path is needed and not given, or a digest was asked for, and the images are others.
        DataError: there is no such data set at the path, or it cannot be read.
    """
    node = config["data"]
    _refuse_no_path(node)
    if not _names_images(node):
        return config, [_BY_ARGUMENTS.format(target=node["_target_"])] if _without_digest(node) else []
    digest = find(config)
    if digest is None:
        note = f"data.path={node['path']}: is not here, so earlier runs on its images cannot be found by what they are"
        return config, [note] if node["content"] is None else []
    if node["content"] not in (None, digest):
        raise ConfigError(
            f"data.content={node['content']}: data.path={node['path']} holds {digest}; give the path of the images "
            "that were asked for"
        )
    return {**config, "data": {**node, "path": str(Path(node["path"]).expanduser().absolute()), "content": digest}}, []


def require(configs: Iterable[Mapping[str, Any]]) -> None:
    """Refuse configurations whose images have no digest, before a run is begun.

    Raises:
        DataError: they are not there.
    """
    for config in configs:
        if _names_images(config["data"]) and config["data"]["content"] is None:
            program_of(config).require(config)


def _refuse_no_path(node: Mapping[str, Any]) -> None:
    """Before the program is asked, which takes seconds to import: rows of tables on ImageNet have no path."""
    try:
        if "path" in node:
            given("path", node["path"])
    except ValueError as e:
        raise ConfigError(f"data.{e}") from e


def _names_images(node: Mapping[str, Any]) -> bool:
    return "content" in node and isinstance(node.get("path"), str) and node["path"] != ""


def _without_digest(node: Mapping[str, Any]) -> bool:
    """A data set by a factory that is not ours and that gets no digest of what it reads."""
    return not str(node.get("_target_")).startswith("ablation.") and not {"path", "content"} <= {*node}
