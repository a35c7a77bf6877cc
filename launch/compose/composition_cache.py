"""Compositions that outlast their process: Hydra takes 0.1 s for a set of choices, and the files of options decide it.

There is one small file for each set of choices, in a folder of the cache that is named by a digest of all files of
options and of the versions that read them. So an edited file leads to another folder, and old ones may be deleted at
any time. Nothing is kept where more than this project's own files is searched.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import hydra
import omegaconf
import yaml
from hydra.core.config_store import ConfigStore
from hydra.plugins.config_source import ConfigSource

from ablation.store.cache import digest, directory, files, forget_old
from launch.compose.paths import CONF

_FORMAT = 2  # of what is kept
_SUM = 32  # bytes of a file that are the others' SHA-256

Kept = tuple[bytes, Mapping[str, Any]]  # a pickled configuration, and the option of each group


class CompositionCache:
    """Of the files that Hydra searches now."""

    def __init__(self, sources: Iterable[ConfigSource]) -> None:
        self._folder = _folder() if _only_ours(sources) and not _defaults_depend() else None

    def get(self, structure: tuple[str, ...]) -> Kept | None:
        """What these choices were composed to; None if it is not known. A damaged file is as good as none."""
        if self._folder is None or _depends(structure):
            return None
        try:
            with (self._folder / _name(structure)).open("rb") as file:
                if os.fstat(file.fileno()).st_uid != os.geteuid():  # what is unpickled can do anything
                    return None
                content = file.read()
        except OSError:
            return None
        if _sum(content[_SUM:]) != content[:_SUM]:
            return None
        kept: Kept = pickle.loads(content[_SUM:])
        return kept

    def put(self, structure: tuple[str, ...], kept: Kept) -> None:
        """Remember it; where nothing can be written, it is composed anew by the next process."""
        if self._folder is None or _depends(structure) or _folder() != self._folder:  # a file was edited meanwhile
            return
        with suppress(OSError):
            if not self._folder.is_dir():
                self._folder.mkdir(parents=True, mode=0o700)
                forget_old(self._folder.parent)
            scratch = self._folder / f"{uuid4().hex}.tmp"
            try:
                content = pickle.dumps(kept)
                scratch.write_bytes(_sum(content) + content)
                scratch.replace(self._folder / _name(structure))
            finally:
                scratch.unlink(missing_ok=True)


def _only_ours(sources: Iterable[ConfigSource]) -> bool:
    """Whether nothing is searched but Hydra's options, this project's folder, and what plugins say of Hydra itself."""
    expected = [("pkg", "hydra.conf"), ("file", str(CONF)), ("structured", "")]
    groups = [name for name, node in ConfigStore.instance().repo.items() if isinstance(node, dict)]
    return [(s.scheme(), s.path) for s in sources] == expected and groups == ["hydra"]


def _folder() -> Path:
    versions = (_FORMAT, hydra.__version__, omegaconf.__version__, sys.version)
    return directory() / "compositions" / digest(CONF, ".yaml", *versions)


def _defaults_depend() -> bool:
    """Whether a file's defaults list has an interpolation, which may ask the environment."""
    return any(map(_asks, filter(Path.is_file, files(CONF, ".yaml"))))


def _asks(path: Path) -> bool:
    text = path.read_text(errors="replace")
    if "${" not in text:  # which spares all but a few the parsing
        return False
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError:
        return True
    return not isinstance(content, dict) or "${" in str(content.get("defaults"))


def _depends(structure: tuple[str, ...]) -> bool:
    """Whether a choice is an interpolation: `optim=${oc.env:OPTIM}`."""
    return any("${" in text for text in structure)


def _sum(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def _name(structure: tuple[str, ...]) -> str:
    return hashlib.sha256(repr(structure).encode()).hexdigest()[:32]
