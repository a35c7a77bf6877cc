"""A tree of image files, `<path>/<part>/<class>/*`: which files are in it, and what in it is odd."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ablation.build import near
from ablation.errors import DataError

_SUFFIXES = frozenset((".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"))
_LITTER = frozenset(("__MACOSX", "@eaDir", "lost+found", "Thumbs.db", "desktop.ini"))  # of systems, as hidden files are


class Tree(NamedTuple):
    """The images of both parts, sorted by class and then by path; a label is a position in `classes`."""

    classes: tuple[str, ...]
    train: list[Path]
    train_y: NDArray[np.int64]
    test: list[Path]
    test_y: NDArray[np.int64]
    test_part: str  # "test" or "val", whichever folder it is
    notes: tuple[str, ...]  # what was passed over


@dataclass
class _Found:
    """The images below a folder, and the other files."""

    images: list[Path] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)


def _litter(name: str) -> bool:
    return name.startswith(".") or name in _LITTER


def _folders(part: Path) -> list[str]:
    return sorted(d.name for d in part.iterdir() if d.is_dir() and not _litter(d.name))


def _walk(folder: Path, found: _Found, above: tuple[str, ...] = ()) -> _Found:
    """All files below a folder, also through links.

    Raises:
        DataError: a link leads to nothing, or back to a folder that it lies in.
    """
    real = os.path.realpath(folder)
    if real in above:
        raise DataError(f"{folder}: is a link to a folder that it lies in; delete it")
    with os.scandir(folder) as entries:
        visible = [entry for entry in entries if not _litter(entry.name)]
    for entry in visible:
        path = Path(entry.path)
        if entry.is_dir():
            _walk(path, found, (*above, real))
        elif not entry.is_file():
            raise DataError(f"{path}: is a link to nothing, or no file; restore or delete it")
        else:
            (found.images if path.suffix.lower() in _SUFFIXES else found.others).append(path)
    return found


def _list(part: Path, classes: tuple[str, ...], others: list[Path]) -> tuple[list[Path], NDArray[np.int64]]:
    found = [_walk(part / name, _Found()) if (part / name).is_dir() else _Found() for name in classes]
    labels = np.repeat(np.arange(len(classes)), [len(f.images) for f in found])
    others += sorted(file for each in found for file in each.others)
    return [file for each in found for file in sorted(each.images)], labels.astype(np.int64)


def _loose(part: Path) -> list[Path]:
    """Images that lie beside the folders of the classes."""
    return sorted(f for f in part.iterdir() if f.is_file() and not _litter(f.name) and f.suffix.lower() in _SUFFIXES)


def _classes(path: Path, test_part: str) -> tuple[str, ...]:
    """The names of the folders in train, which those of the test part are among."""
    classes = tuple(_folders(path / "train"))
    if len(classes) < 2:
        inner = f"{path / 'train' / classes[0]}: is the only class" if classes else f"{path / 'train'}: has no folder"
        raise DataError(
            f"{inner}; images are told apart by the folder in train that they lie in, so it needs one for every class, "
            "two or more"
        )
    for name in _folders(path / test_part):
        if name not in classes:
            raise DataError(f"{path / test_part / name}: no such class in train; {near(name, classes)}")
    return classes


def listed(path: Path) -> Tree:
    """What is in the tree. Hidden files and folders and what systems leave lie there as if they did not.

    Raises:
        DataError: a part or a class is missing, empty or unknown, or a link is broken.
    """
    wanted = f"it needs {path}/train/<class>/* and {path}/test/<class>/* (or val)"
    if not path.is_dir():
        raise DataError(f"{path}: no such folder; {wanted}")
    test_part = next((part for part in ("test", "val") if (path / part).is_dir()), None)
    if test_part is None or not (path / "train").is_dir():
        raise DataError(f"{path}: has no folder {'train' if test_part else 'test or val'}; {wanted}")
    classes = _classes(path, test_part)
    others: list[Path] = []
    train, train_y = _list(path / "train", classes, others)
    counts = np.bincount(train_y, minlength=len(classes))
    if not counts.all():
        raise DataError(f"{path / 'train' / classes[counts.argmin()]}: has no image; add some or delete the folder")
    test, test_y = _list(path / test_part, classes, others)
    if not test:
        raise DataError(f"{path / test_part}: has no image in the folders of the classes; {wanted}")
    loose = [*_loose(path / "train"), *_loose(path / test_part)]
    return Tree(classes, train, train_y, test, test_y, test_part, _notes(path, test_part, loose, others))


def _notes(path: Path, test_part: str, loose: Sequence[Path], others: Sequence[Path]) -> tuple[str, ...]:
    notes = []
    if loose:
        count = f"{len(loose)} image{'s' * (len(loose) > 1)} such as {loose[0].relative_to(path)}"
        notes.append(f"passed over, as no class's folder holds them: {count}")
    if others:
        kinds = Counter(file.suffix.lower() or "without a suffix" for file in others)
        said = ", ".join(f"{n} {kind}" for kind, n in kinds.most_common(5))
        notes.append(f"passed over, as their names are none of images: {said}, such as {others[0].relative_to(path)}")
    if test_part == "test" and (path / "val").is_dir():
        notes.append("the folder val is not used: test is there, and data.val holds out images of train")
    return tuple(notes)
