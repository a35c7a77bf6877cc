"""Are these arrays images and labels? Every refusal says what was found and how to put it right."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ablation.data._cache import Array
from ablation.errors import DataError


def _wrong_type(where: str, x: Array) -> DataError:
    if x.dtype.kind != "f":
        return DataError(f"{where}: is {x.dtype}, not uint8; if all values are in 0..255, save x.astype(np.uint8)")
    if not np.isfinite(x).all():
        return DataError(f"{where}: has values that are NaN or infinite; repair them, then save uint8")
    if x.size and x.min() >= 0 and x.max() <= 1:
        return DataError(f"{where}: is {x.dtype} in [0, 1], not uint8; save (x * 255).round().astype(np.uint8)")
    return DataError(
        f"{where}: is {x.dtype} from {x.min():g} to {x.max():g}, not uint8; undo any normalisation, then save "
        "(x * 255).round().astype(np.uint8)"
    )


def images(where: str, x: Array) -> NDArray[np.uint8]:
    """Images as contiguous uint8 (n, H, W, C); greys (n, H, W) get a channel.

    Raises:
        DataError: another type or shape, or no image.
    """
    if 0 in x.shape:
        raise DataError(f"{where}: is empty, shape {x.shape}; it needs at least one image (n, H, W, C)")
    if x.dtype != np.uint8:
        raise _wrong_type(where, x)
    if x.ndim == 3:
        x = x[..., None]
    if x.ndim != 4:
        raise DataError(f"{where}: has shape {x.shape}, not (n, H, W, C) or (n, H, W); reshape it")
    if x.shape[1] in (1, 3) and x.shape[3] > 4:
        raise DataError(f"{where}: has shape {x.shape}, channels first; save x.transpose(0, 2, 3, 1)")
    return np.ascontiguousarray(x)


def labels(where: str, y: Array, count: int) -> NDArray[np.int64]:
    """Labels as int64 (n,), from 0.

    Raises:
        DataError: not integers, not one per image, or negative.
    """
    if y.dtype.kind not in "iu":
        raise DataError(f"{where}: is {y.dtype}, not integers; save y.astype(np.int64), numbered from 0")
    if y.shape != (count,):
        raise DataError(f"{where}: has shape {y.shape} for {count} images; it needs one label each, shape ({count},)")
    if y.min() < 0:
        raise DataError(f"{where}: has the label {y.min()}; number the classes from 0")
    return np.ascontiguousarray(y, np.int64)


def classes(where: str, found: Array | None, train: NDArray[np.int64], test: NDArray[np.int64]) -> tuple[str, ...]:
    """The names of the classes: those found, else the numbers up to the largest training label.

    Raises:
        DataError: not names, a label without a class, or a class without a training image.
    """
    if found is not None and (found.ndim != 1 or found.dtype.kind != "U"):
        raise DataError(f"{where}: classes is {found.dtype} {found.shape}; save np.array([name of label 0, ...])")
    names = range(int(train.max()) + 1) if found is None else found
    for part, y in (("y_train", train), ("y_test", test)):
        if y.max() >= len(names):
            last = len(names) - 1
            raise DataError(
                f"{where}: {part} has the label {y.max()}, but the classes are 0 to {last}; correct the labels"
            )
    counts = np.bincount(train, minlength=len(names))
    if not counts.all():
        raise DataError(
            f"{where}: class {counts.argmin()} ({names[counts.argmin()]}) has no training image; "
            "add one, or number the classes without gaps"
        )
    return tuple(str(name) for name in names)
