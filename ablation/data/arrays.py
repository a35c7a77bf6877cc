"""Your own images in one .npz file: x_train, y_train, x_test, y_test and, if you like, classes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ablation.data import _images, _labels, _norm, _npz
from ablation.data._assemble import Source, assemble
from ablation.data._cache import digest
from ablation.data.check import check, given, one_of
from ablation.data.content import confirm
from ablation.types import Data, Split


def files(path: Path) -> list[Path]:
    """What is read: the file.

    Raises:
        DataError: no such file.
    """
    return [_npz.present(path)]


def _whole(file: Path, content: str | None, norm: str) -> Source:
    """Everything in the file, checked."""
    found = _npz.read(file)
    confirm(file, [file], content)
    x_train, x_test = (_images.images(found[key]) for key in _images.XS)
    y_train, y_test = (_labels.labels(found[key]) for key in _labels.YS)
    constants = _norm.chosen(norm, _norm.computed(x_train))
    all_of_it = digest({"train_x": x_train, "train_y": y_train, "test_x": x_test, "test_y": y_test})
    train, test = Split(*map(torch.from_numpy, (x_train, y_train))), Split(*map(torch.from_numpy, (x_test, y_test)))
    notes = tuple(_odd(x_train, x_test))
    return Source(file.stem, _labels.classes(found), train, test, constants, all_of_it, {"norm": norm}, notes)


def _odd(train: NDArray[np.uint8], test: NDArray[np.uint8]) -> Iterator[str]:
    """Images in both parts, and pixels that are hardly images of eight bits."""
    ours, theirs = ([hashlib.blake2b(image, digest_size=8).digest() for image in part] for part in (train, test))
    first = {mark: i for i, mark in reversed(list(enumerate(ours)))}
    twins = [(i, first[mark]) for i, mark in enumerate(theirs) if mark in first]
    if twins:
        pair = f"x_test[{twins[0][0]}] is x_train[{twins[0][1]}]"
        yield f"{len(twins)} of {len(test)} test images are training images too, pixel for pixel: {pair}"
    if (white := train.max()) < _images.WHITE:  # and so is the test part: both are on one scale
        yield (
            f"no pixel is above {white}, so that the images are nearly black: if {white} is meant to be white, save "
            f"x * (255 / {white})"
        )


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
