"""Handwritten digits that come with scikit-learn: 1797 images of 8x8, the data set that needs no network.

Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository (1998).
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from ablation.data import _select
from ablation.data._assemble import Source, assemble
from ablation.data._cache import digest
from ablation.data._norm import computed
from ablation.data.check import check
from ablation.key import Key
from ablation.types import Data, Split

Array = NDArray[Any]
_FILE = "datasets/data/digits.csv.gz"  # in scikit-learn's folder
_TEST = 360  # of 1797, drawn once and for all: `split_seed` does not move it


def _enlarged(images: Tensor) -> Tensor:
    """Greys (n, 8, 8) in 0..16 -> uint8 (n, 32, 32, 3), bilinear.

    Exact on every machine: the weights are multiples of 1/64, so float32 loses nothing before `round`.
    """
    large = F.interpolate(images[:, None].float(), scale_factor=4, mode="bilinear", align_corners=False)
    return (large * (255 / 16)).round().to(torch.uint8).permute(0, 2, 3, 1).expand(-1, -1, -1, 3).contiguous()


def digits(
    view: str = "pad_crop",
    pad: int = 4,
    val: float | None = None,
    subset: float | str | None = None,
    test_subset: float | str | None = None,
    split_seed: int = 0,
) -> Data:
    """Scikit-learn's digits as 32x32 RGB: 1437 to train on and 360 to test, a fixed stratified split.

    scikit-learn has no official split of them; writers are in both parts. The standard view doesn't mirror, because a
    mirrored digit is another sign.

    Args:
        view: name of a file in ablation/data/view.
        pad: pixels on each side.
        val, subset, test_subset, split_seed: see `ablation.data.check`.

    Raises:
        ValueError: an argument is impossible.
    """
    choice = check(view, pad, val, subset, test_subset, split_seed)
    return assemble(_whole(), choice)


def _stored() -> tuple[Array, Array]:
    """The greys (n, 64) and labels (n) in scikit-learn's file; to import scikit-learn for it takes 1.5 s."""
    found = find_spec("sklearn")  # which imports nothing
    for folder in (found and found.submodule_search_locations) or ():
        if (path := Path(folder, _FILE)).exists():
            rows = np.loadtxt(path, delimiter=",")
            return rows[:, :64], rows[:, 64]
    from sklearn.datasets import load_digits  # it has the file elsewhere, or is missing, and says so

    images, labels = load_digits(return_X_y=True)
    return images, labels


@cache
def _whole() -> Source:
    """All digits, once for the trials of a process."""
    images, labels = _stored()
    x, y = _enlarged(torch.from_numpy(images).reshape(-1, 8, 8)), torch.from_numpy(labels).long()
    test = _select.stratified(y, _TEST, Key.root(0).fold("digits test"))
    rest = torch.ones(len(y), dtype=torch.bool)
    rest[test] = False
    train, held = Split(x[rest], y[rest]), Split(x[test], y[test])
    arrays = {"train_x": train.x, "train_y": train.y, "test_x": held.x, "test_y": held.y}
    classes = tuple(str(k) for k in range(10))
    norm, all_of_it = computed(train.x.numpy()), digest({name: a.numpy() for name, a in arrays.items()})
    return Source("digits", classes, train, held, norm, all_of_it, {"norm": "pixel"})
