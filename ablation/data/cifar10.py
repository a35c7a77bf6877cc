"""CIFAR-10: 50000 + 10000 photographs of 32x32 in 10 classes.

Krizhevsky, "Learning Multiple Layers of Features from Tiny Images" (2009).
"""

from __future__ import annotations

from ablation.data._cifar import Kind, cifar
from ablation.data._norm import IMAGENET
from ablation.data.check import NORMS, check, one_of
from ablation.types import Data

_MEAN = (0.4914, 0.4822, 0.4465)
_KIND = Kind(
    name="cifar10",
    dataset="CIFAR10",
    folder="cifar-10-batches-py",
    norms={
        "pixel": (_MEAN, (0.2470, 0.2435, 0.2616)),
        "widespread": (_MEAN, (0.2023, 0.1994, 0.2010)),  # the mean of per-image stds, found in many codes
        "imagenet": IMAGENET,
    },
)


def cifar10(
    root: str = "~/.cache/ablation/data",
    download: bool = True,
    cache: str | None = None,
    norm: str = "pixel",
    view: str = "pad_crop_flip",
    pad: int = 4,
    val: float | None = None,
    subset: float | str | None = None,
    test_subset: float | str | None = None,
    split_seed: int = 0,
) -> Data:
    """Torchvision's CIFAR10, in its order.

    Args:
        root: folder that holds, or gets, cifar-10-batches-py.
        download: fetch the files if they are not there or damaged.
        cache: folder for the decoded arrays; None is the variable ABLATION_CACHE, else ~/.cache/ablation.
        norm: pixel (mean and std over the training pixels), widespread or imagenet.
        view: name of a file in ablation/data/view.
        pad: pixels on each side.
        val, subset, test_subset, split_seed: see `ablation.data.check`.

    Raises:
        ValueError: an argument is impossible.
        DataError: the files are not there, or not right, and cannot be downloaded.
    """
    choice = check(view, pad, val, subset, test_subset, split_seed)
    return cifar(_KIND, root, download, cache, one_of("norm", norm, NORMS), choice)
