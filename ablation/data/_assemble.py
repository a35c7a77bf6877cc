"""From a whole data set and a choice of images to `Data`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ablation.data import _balance, _select
from ablation.data._norm import Norm
from ablation.data.check import Amount, Choice
from ablation.key import Key
from ablation.types import Data, Split

Take = Callable[[Tensor, Tensor], Tensor]  # images (n, H, W, C), positions int64 (m,) -> (m, H, W, C)


class Source(NamedTuple):
    """A whole data set as it is stored."""

    name: str
    classes: tuple[str, ...]
    train: Split
    test: Split
    norm: Norm
    digest: str  # of all images and labels
    about: dict[str, str]
    notes: tuple[str, ...] = ()  # what is odd about its files


def copied(x: Tensor, index: Tensor) -> Tensor:
    """The images at these positions, in memory."""
    return x.index_select(0, index)


def _taken(split: Split, index: Tensor, take: Take) -> Split:
    start, count = int(index[0]), len(index)
    if int(index[-1]) - start + 1 == count:  # ascending without a gap: no copy, and a mapped file stays mapped
        return Split(split.x[start : start + count], split.y[start : start + count])
    return Split(take(split.x, index), split.y[index])


def _words(part: Tensor, total: int, amount: Amount | None, less: Tensor | None = None) -> str:
    notes = [] if amount is None else ["first" if amount.first else "stratified"]
    notes += [] if less is None else [f"less {len(less)} for val"]
    return f"{len(part)} of {total}" + (f" ({', '.join(notes)})" if notes else "")


def _fingerprint(digest: str, *indices: Tensor) -> str:
    """16 hexadecimal digits for exactly these images and labels, out of the digest of all: reads no pixel."""
    h = hashlib.blake2b(digest.encode(), digest_size=8)
    for index in indices:
        h.update(len(index).to_bytes(8, "little") + index.numpy().astype("<i8").tobytes())
    return h.hexdigest()


def assemble(source: Source, choice: Choice, take: Take = copied) -> Data:
    """Take the subset, then hold out the validation images, and say which images these are.

    Raises:
        ValueError: an amount does not fit the number of images.
    """
    key = Key.root(choice.split_seed)
    of_train = _select.subset(source.train.y, choice.subset, key.fold("subset"))
    rest, held = _select.hold_out(source.train.y[of_train], choice.val, key.fold("val"))
    train, val = of_train[rest], None if held is None else of_train[held]
    test = _select.subset(source.test.y, choice.test_subset, key.fold("test_subset"))
    height, width, channels = source.train.x.shape[1:]
    about = {
        "train": _words(train, len(source.train), choice.subset, val),
        "val": "none" if val is None else f"{len(val)} stratified of train",
        "test": _words(test, len(source.test), choice.test_subset),
        "split_seed": str(choice.split_seed),
        "pixels": _fingerprint(source.digest, train, test),
        "encoding": f"{height}x{width}x{channels} uint8",
        "view": choice.view_name,
        "constants": " ".join(f"{c:.6f}" for part in source.norm for c in part),
    }
    return Data(
        name=source.name,
        classes=source.classes,
        train=_taken(source.train, train, take),
        test=_taken(source.test, test, take),
        val=None if val is None else _taken(source.train, val, take),
        view=choice.view,
        mean=torch.tensor(source.norm[0], dtype=torch.float32),
        std=torch.tensor(source.norm[1], dtype=torch.float32),
        about={**about, **source.about},
        notes=(*source.notes, *_balance.notes(source.classes, source.train.y[train], source.test.y[test], choice)),
    )
