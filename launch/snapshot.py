"""The code as it was when a sweep was submitted: jobs import this copy, so that editing files changes no queued job."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ablation.atomic import write_atomic
from ablation.identity import flatten
from launch.provenance import ROOT, SOURCE, source

_FLOORS = ("ablation", "launch", "conf")
_KINDS = (".py", ".yaml")


def freeze(store: Path, configs: Iterable[Mapping[str, Any]]) -> Path:
    """Copy the code that these configurations run to `<store>/<hash>`; the same code is stored once.

    Beside the project itself that is every top-level module that a `_target_` names and that is not installed.

    Raises:
        OSError: it cannot be written.
    """
    names = {n: (ROOT / n, ROOT) for n in _FLOORS} | {n: (path, path.parent) for n, path in _own(configs)}
    files = {str(path.relative_to(top)): path for root, top in names.values() for path in _sources(root)}
    content = {name: path.read_bytes() for name, path in sorted(files.items())}
    digest = hashlib.sha256()
    for name, text in content.items():
        digest.update(f"{name}\0{len(text)}\0".encode() + text)
    folder = store / digest.hexdigest()[:16]
    if not folder.exists():
        _copy(content, folder)
    return folder


def _copy(content: Mapping[str, bytes], folder: Path) -> None:
    """Write all files, then give the folder its name: it is whole or not there."""
    scratch = folder.with_name(f"{folder.name}.{os.getpid()}.tmp")
    for name, text in content.items():
        path = scratch / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)
    write_atomic(scratch / SOURCE, json.dumps(source(), indent=1).encode())
    try:
        scratch.rename(folder)
    except OSError:  # another process was faster with the same content
        shutil.rmtree(scratch)
        if not folder.exists():
            raise


def _sources(root: Path) -> Iterator[Path]:
    if root.is_file():
        yield root
        return
    for folder, inner, files in os.walk(root):
        inner[:] = [name for name in inner if name != "__pycache__"]
        yield from (Path(folder) / name for name in files if name.endswith(_KINDS))


def _own(configs: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, Path]]:
    """The user's own top-level modules and packages that configurations name, and where they lie."""
    targets = {str(v).partition(".")[0] for c in configs for k, v in flatten(c).items() if k.endswith("_target_")}
    for name in sorted(targets - set(_FLOORS)):
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin in (None, "built-in", "frozen"):
            continue
        path = Path(str(spec.origin)).resolve()
        installed = any(path.is_relative_to(Path(p).resolve()) for p in sysconfig.get_paths().values())
        if not installed:
            yield name, path.parent if path.name == "__init__.py" else path
