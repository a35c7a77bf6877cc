"""A tree of image files, `<path>/<part>/<class>/*`: listing it, and decoding it to one size."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ablation.build import near
from ablation.errors import DataError

_SUFFIXES = frozenset((".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"))


class Tree(NamedTuple):
    """The images of both parts, sorted by class and then by path; a label is a position in `classes`."""

    classes: tuple[str, ...]
    train: list[Path]
    train_y: NDArray[np.int64]
    test: list[Path]
    test_y: NDArray[np.int64]
    test_part: str  # "test" or "val", whichever folder it is


def _folders(part: Path) -> list[str]:
    return sorted(d.name for d in part.iterdir() if d.is_dir() and not d.name.startswith("."))


def _images(folder: Path) -> list[Path]:
    files = (Path(top, name) for top, _, names in os.walk(folder) for name in names if not name.startswith("."))
    return sorted(f for f in files if f.suffix.lower() in _SUFFIXES)


def _list(part: Path, classes: tuple[str, ...]) -> tuple[list[Path], NDArray[np.int64]]:
    files = [_images(part / name) for name in classes]
    labels = np.repeat(np.arange(len(classes)), [len(f) for f in files])
    return [file for group in files for file in group], labels.astype(np.int64)


def listed(path: Path) -> Tree:
    """What is in the tree; files that are not images are passed over.

    Raises:
        DataError: a part or a class is missing, empty or unknown.
    """
    wanted = f"it needs {path}/train/<class>/* and {path}/test/<class>/* (or val)"
    if not path.is_dir():
        raise DataError(f"{path}: no such folder; {wanted}")
    test_part = next((part for part in ("test", "val") if (path / part).is_dir()), None)
    if test_part is None or not (path / "train").is_dir():
        raise DataError(f"{path}: has no folder {'train' if test_part else 'test or val'}; {wanted}")
    classes = tuple(_folders(path / "train"))
    for name in _folders(path / test_part):
        if name not in classes:
            raise DataError(f"{path / test_part / name}: no such class in train; {near(name, classes)}")
    train, train_y = _list(path / "train", classes)
    counts = np.bincount(train_y, minlength=len(classes))
    if not counts.all():
        raise DataError(f"{path / 'train' / classes[counts.argmin()]}: has no image; add some or delete the folder")
    test, test_y = _list(path / test_part, classes)
    if not train or not test:
        raise DataError(f"{path / (test_part if train else 'train')}: has no image; {wanted}")
    return Tree(classes, train, train_y, test, test_y, test_part)


def decoded(size: int, resized: int, file: Path) -> NDArray[np.uint8]:
    """One image as RGB (size, size, 3): shorter side resized to `resized` (bilinear, smoothed), then its centre.

    The pixels of torchvision's ImageFolder, Resize and CenterCrop; like there, orientation tags are not applied.

    Raises:
        DataError: it cannot be decoded.
    """
    try:
        with Image.open(file) as opened:
            image = opened.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as e:
        raise DataError(f"{file}: cannot be decoded ({e}); replace or delete it") from e
    shorter = min(image.size)
    width, height = (side * resized // shorter for side in image.size)
    left, top = round((width - size) / 2), round((height - size) / 2)
    image = image.resize((width, height), Image.Resampling.BILINEAR) if shorter != resized else image
    return np.asarray(image.crop((left, top, left + size, top + size)))


def decoded_all(size: int, resized: int, files: list[Path], at_once: int = 256) -> Iterator[NDArray[np.uint8]]:
    """The images of these files in order, uint8 (at most at_once, size, size, 3) each time, decoded on all cores."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(files), at_once):
            yield np.stack(list(pool.map(partial(decoded, size, resized), files[start : start + at_once])))
