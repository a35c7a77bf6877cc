"""Your own images as a tree of files: `<path>/train/<class>/*`, and the same in `test` or `val`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ablation.data import _norm
from ablation.data._assemble import Source, Take, assemble, copied
from ablation.data._cache import Array, Chunks, Recipe, cached, stamp
from ablation.data._decode import REVISION, How, Tally, decoded_all, notes
from ablation.data._memory import fits
from ablation.data._tree import Tree, listed
from ablation.data.check import MOST_PIXELS, check, cropped, given, memory_mode, one_of, truth, whole
from ablation.data.content import confirm
from ablation.types import Data, Split


def files(path: Path) -> list[Path]:
    """What is read: the images of both parts.

    Raises:
        DataError: the tree is missing or incomplete.
    """
    tree = listed(path)
    return [*tree.train, *tree.test]


def _recipe(root: Path, tree: Tree, size: int, test_crop: float, exif_orientation: bool) -> Recipe:
    """Decode once, piece by piece; the training images' mean and std are added up on the way, and what is odd noted."""
    meta: dict[str, Any] = {}
    train, test = Tally(tree.train, tree.train_y), Tally(tree.test, tree.test_y)

    def train_x() -> Iterator[Array]:
        moments = _norm.Moments()
        for part in decoded_all(How(size, size, exif_orientation), train):
            moments.add(part)
            yield part
        meta["norm"] = moments.norm()

    def test_x() -> Iterator[Array]:
        yield from decoded_all(How(size, int(size / test_crop), exif_orientation), test)
        meta["notes"] = notes(root, train, test)

    def pixels(files: list[Path], parts: Callable[[], Iterator[Array]]) -> Chunks:
        return Chunks((len(files), size, size, 3), "|u1", parts)

    def numbers(y: Array) -> Chunks:
        return Chunks(y.shape, "<i8", lambda: iter([y]))

    arrays = {
        "train_x": pixels(tree.train, train_x),
        "test_x": pixels(tree.test, test_x),
        "train_y": numbers(tree.train_y),
        "test_y": numbers(tree.test_y),
    }
    return Recipe(arrays, meta)


def _streamed(cache: str | None, key: str) -> Take:
    """A selection of mapped images as another mapped file, so that taking some does not need memory for them."""

    def take(x: Tensor, index: Tensor) -> Tensor:
        def parts() -> Iterator[Array]:
            return (x[some].numpy() for some in torch.split(index, 1024))

        chunks = {"x": Chunks((len(index), *x.shape[1:]), "|u1", parts)}
        name = f"{key}-{hashlib.sha256(index.numpy().tobytes()).hexdigest()[:16]}"
        return torch.from_numpy(cached(cache, name, lambda: Recipe(chunks, {}), memory=False).arrays["x"])

    return take


def folder(
    path: str | None = None,
    content: str | None = None,
    size: int = 224,
    test_crop: float = 1.0,
    exif_orientation: bool = False,
    in_memory: bool | str = "auto",
    cache: str | None = None,
    norm: str = "pixel",
    view: str = "pad_crop_flip",
    pad: int = 4,
    val: float | None = None,
    subset: float | str | None = None,
    test_subset: float | str | None = None,
    split_seed: int = 0,
) -> Data:
    """An image tree, decoded once into the cache as uint8 RGB (n, size, size, 3), and again when any file changes.

    `ablation.data._picture` says what becomes of each kind of image, and which are refused. Links are followed; hidden
    files are passed over.

    Args:
        path: the tree; its parts are train, and test or else val.
        content: the digest that the images must have (`ablation.data.content`); None: any.
        size: pixels; the shorter side is resized to it and the centre is cut out.
        test_crop: of test images the shorter side is resized to size / test_crop before; 0.875 gives ImageNet's usual
            256 for 224 and 341 for 299.
        exif_orientation: turn and mirror images as the EXIF tag says that cameras write; torchvision's ImageFolder does
            not. Files that have one are counted in a note.
        in_memory: hold the images in memory, or stream them from the cache's files; auto: hold if they fit twice.
        cache: folder for the decoded arrays; None is the variable ABLATION_CACHE, else ~/.cache/ablation.
        norm: pixel (mean and std over all images in train, so that no subset moves them) or imagenet.
        view: name of a file in ablation/data/view.
        pad: pixels on each side.
        val, subset, test_subset, split_seed: see `ablation.data.check`.

    Raises:
        ValueError: an argument is impossible.
        DataError: the tree is missing, incomplete or other than `content` says, or an image cannot be decoded.
    """
    choice, mode = check(view, pad, val, subset, test_subset, split_seed), memory_mode(in_memory)
    norm, test_crop = one_of("norm", norm, ("pixel", "imagenet")), cropped(test_crop)
    size = whole("size", size, 1, MOST_PIXELS)
    turned = truth("exif_orientation", exif_orientation)
    root = given("path", path).resolve()
    tree = listed(root)
    memory = fits(3 * size * size * (len(tree.train) + len(tree.test))) if mode is None else mode
    confirmed = partial(confirm, root, [*tree.train, *tree.test])
    found = confirmed(content, cache)
    key = f"folder-{stamp([], found, REVISION, size, test_crop, turned)}"
    make = partial(_recipe, root, tree, size, test_crop, turned)
    entry = cached(cache, key, make, memory, still=lambda: confirmed(found, cache))
    arrays = {name: torch.from_numpy(array) for name, array in entry.arrays.items()}
    mean, std = entry.meta["norm"]
    source = Source(
        name=root.name,
        classes=tree.classes,
        train=Split(arrays["train_x"], arrays["train_y"]),
        test=Split(arrays["test_x"], arrays["test_y"]),
        norm=_norm.chosen(norm, (tuple(mean), tuple(std))),
        digest=entry.digest,
        about={"norm": norm, "test_part": tree.test_part, "storage": "in memory" if memory else "memory-mapped"},
        notes=(*tree.notes, *entry.meta["notes"]),
    )
    return replace(assemble(source, choice, copied if memory else _streamed(cache, key)), mapped=not memory)
