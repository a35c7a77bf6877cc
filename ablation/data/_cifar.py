"""CIFAR as torchvision stores it (Krizhevsky 2009): official files, checked by MD5, then kept as arrays."""

from __future__ import annotations

import tarfile
import warnings
from collections.abc import Iterator
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from filelock import FileLock

from ablation.data._assemble import Source, assemble
from ablation.data._cache import Array, Chunks, Entry, Recipe, cached, stamp
from ablation.data._norm import Norm
from ablation.data.check import Choice
from ablation.errors import DataError
from ablation.store.cache import directory
from ablation.types import Data, Split


class Kind(NamedTuple):
    """One of the two sets."""

    name: str
    dataset: str  # torchvision's class
    folder: str  # where torchvision puts the files, below root
    norms: dict[str, Norm]


def _dataset(kind: Kind) -> Any:
    import torchvision  # here, because a cached load does without this second

    return getattr(torchvision.datasets, kind.dataset)


def _wrong(kind: Kind, root: Path) -> list[str]:
    """The official files that are missing or whose MD5 is not the official one."""
    from torchvision.datasets.utils import check_integrity

    dataset = _dataset(kind)
    files = [*dataset.train_list, *dataset.test_list, (dataset.meta["filename"], dataset.meta["md5"])]
    paths = {name: root / kind.folder / name for name, _ in files}
    found = {name: "is missing" if not paths[name].is_file() else "is damaged (MD5)" for name, _ in files}
    return [f"{name} {found[name]}" for name, md5 in files if not check_integrity(str(paths[name]), md5)]


def _ensure(kind: Kind, root: Path, download: bool) -> None:
    """Have the official files below root, downloaded if that is allowed.

    Raises:
        DataError: they are not there, or not right, and cannot be had.
    """
    wrong = _wrong(kind, root)
    if not wrong:
        return
    where = f"{kind.name}: {root / kind.folder}: {', '.join(wrong)}"
    if not download:
        raise DataError(f"{where}; set data.download=true, or put {kind.folder} under data.root=DIR")
    try:
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / f".{kind.folder}.lock"):  # trials that start together download once
            _dataset(kind)(str(root), download=True)
    except (OSError, RuntimeError, EOFError, HTTPException, tarfile.TarError) as e:
        raise DataError(f"{where}; the download failed ({e}); put {kind.folder} under data.root=DIR") from e


def _recipe(kind: Kind, root: Path) -> Recipe:
    def once(array: Array) -> Chunks:
        def parts() -> Iterator[Array]:
            yield array

        return Chunks(array.shape, array.dtype.str, parts)

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the files are pickles of 2009, and some versions of numpy say so
            train, test = (_dataset(kind)(str(root), train=t) for t in (True, False))
    except (OSError, RuntimeError) as e:
        raise DataError(f"{kind.name}: {root / kind.folder}: {e}; set data.download=true") from e
    arrays = {"train_x": train.data, "test_x": test.data}
    labels = {"train_y": np.array(train.targets, np.int64), "test_y": np.array(test.targets, np.int64)}
    return Recipe({name: once(a) for name, a in {**arrays, **labels}.items()}, {"classes": train.classes})


def _entry(kind: Kind, root: Path, download: bool, cache: str | None) -> Entry:
    def key() -> str:
        folder = root / kind.folder
        return f"{kind.name}-{stamp(sorted(folder.iterdir()) if folder.is_dir() else [])}"

    if not (directory(cache) / key()).exists():
        _ensure(kind, root, download)
    return cached(cache, key(), partial(_recipe, kind, root))


def cifar(kind: Kind, root: str, download: bool, cache: str | None, norm: str, choice: Choice) -> Data:
    """Load, from the cache if the files are those it was made from, and assemble.

    Raises:
        DataError: the files are not there, or not right, and cannot be downloaded.
    """
    entry = _entry(kind, Path(root).expanduser(), download, cache)
    arrays = {name: torch.from_numpy(array) for name, array in entry.arrays.items()}
    train, test = (Split(arrays[f"{part}_x"], arrays[f"{part}_y"]) for part in ("train", "test"))
    classes = tuple(entry.meta["classes"])
    return assemble(Source(kind.name, classes, train, test, kind.norms[norm], entry.digest, {"norm": norm}), choice)
