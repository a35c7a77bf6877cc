"""Your own images in one .npz file: x_train, y_train, x_test, y_test and, if you like, classes."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np
import torch

from ablation.data import _images, _norm
from ablation.data._assemble import Source, assemble
from ablation.data._cache import Array, digest
from ablation.data.check import check, given, one_of
from ablation.data.content import confirm
from ablation.errors import DataError
from ablation.types import Data, Split

_KEYS = ("x_train", "y_train", "x_test", "y_test")


def _read(path: Path) -> dict[str, Array]:
    """The file's arrays by name.

    Raises:
        DataError: no such file, not an .npz, damaged, with pickled objects, or without one of the four arrays.
    """
    files(path)
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            missing = [key for key in _KEYS if key not in file.files]
            if missing:
                there = ", ".join(file.files) or "nothing"
                raise DataError(f"{path}: has no {missing[0]}; it has {there}; name the arrays in numpy.savez")
            return {key: file[key] for key in (*_KEYS, "classes") if key in file.files}
    except (OSError, EOFError, ValueError, TypeError, AttributeError, zipfile.BadZipFile, zlib.error) as e:
        way = "write it with numpy.savez, numbers only: object arrays are pickles, which may run code"
        raise DataError(f"{path}: not a whole .npz file of plain arrays ({e}); {way}") from e


def files(path: Path) -> list[Path]:
    """What is read: the file.

    Raises:
        DataError: no such file.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file; data.path=X.npz needs the arrays {', '.join(_KEYS)}")
    return [path]


def _whole(file: Path, content: str | None, norm: str) -> Source:
    """Everything in the file, checked."""
    found = _read(file)
    confirm(file, [file], content)
    x_train, x_test = (_images.images(f"{file}: {key}", found[key]) for key in ("x_train", "x_test"))
    y_train = _images.labels(f"{file}: y_train", found["y_train"], len(x_train))
    y_test = _images.labels(f"{file}: y_test", found["y_test"], len(x_test))
    if x_train.shape[1:] != x_test.shape[1:]:
        raise DataError(f"{file}: x_train has images {x_train.shape[1:]}, x_test {x_test.shape[1:]}; make them alike")
    classes = _images.classes(str(file), found.get("classes"), y_train, y_test)
    constants = _norm.chosen(norm, _norm.computed(x_train))
    all_of_it = digest({"train_x": x_train, "train_y": y_train, "test_x": x_test, "test_y": y_test})
    train, test = Split(*map(torch.from_numpy, (x_train, y_train))), Split(*map(torch.from_numpy, (x_test, y_test)))
    return Source(file.stem, classes, train, test, constants, all_of_it, {"norm": norm})


def arrays(
    path: str | None = None,
    content: str | None = None,
    norm: str = "pixel",
    view: str = "pad_crop_flip",
    pad: int = 4,
    val: float | None = None,
    subset: float | str | None = None,
    test_subset: float | str | None = None,
    split_seed: int = 0,
) -> Data:
    """Images uint8 (n, H, W, C), or (n, H, W) for greys, and integer labels (n,) from 0.

    Args:
        path: the .npz file; classes in it are names in the order of the labels.
        content: the digest that the file must have (`ablation.data.content`); None: any.
        norm: pixel (mean and std over all training images of the file, so that no subset moves them) or imagenet.
        view: name of a file in ablation/data/view.
        pad: pixels on each side.
        val, subset, test_subset, split_seed: see `ablation.data.check`.

    Raises:
        ValueError: an argument is impossible.
        DataError: the file is missing, damaged, other than `content` says, or not as described above.
    """
    choice, file = check(view, pad, val, subset, test_subset, split_seed), given("path", path)
    return assemble(_whole(file, content, one_of("norm", norm, ("pixel", "imagenet"))), choice)
