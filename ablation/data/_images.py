"""Are these arrays images? Each check says what was found and how to put it right."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from math import isqrt

import numpy as np
from numpy.typing import NDArray

from ablation.data._cache import Array
from ablation.data._repair import Arrays, Check, Fault

XS = ("x_train", "x_test")
_CHANNELS = (1, 3, 4)


def shapes() -> Iterator[Check]:
    """In order: each relies on those before."""
    for key in XS:
        yield from (partial(check, key=key) for check in (_filled, _counted_last, _flat, _channels_first))


def values() -> Iterator[Check]:
    """In order, once there is a label for every image."""
    yield from (partial(_finite, key=key) for key in XS)
    yield from (_eight_bits, _alike)


def _filled(f: Arrays, key: str) -> Fault | None:
    if f[key].dtype.kind not in "buif":
        return Fault(f"{key}: is {f[key].dtype}, which is no kind of pixel")
    if 0 in f[key].shape or not f[key].ndim:
        return Fault(f"{key}: is empty, shape {f[key].shape}; it needs at least one image (n, H, W, C)")
    if not f[key.replace("x", "y")].ndim:
        return Fault(f"{key.replace('x', 'y')}: is a single number; it needs one label for every image")
    return None


def _counted_last(f: Arrays, key: str) -> Fault | None:
    """Images along the last axis, as MATLAB's files of SVHN have them."""
    x, labels = f[key], len(f[key.replace("x", "y")])
    if x.ndim == 4 and x.shape[0] != labels == x.shape[3] and x.shape[2] in _CHANNELS:
        return Fault(f"{key}: has shape {x.shape}, the images last", f"f['{key}'] = np.moveaxis(f['{key}'], -1, 0)")
    return None


def _flat(f: Arrays, key: str) -> Fault | None:
    x = f[key]
    if x.ndim in (3, 4):
        return None
    said = f"{key}: has shape {x.shape}, not (n, H, W, C) or (n, H, W)"
    width = x.shape[1] if x.ndim == 2 else 0
    side, colour = isqrt(width), isqrt(width // 3)
    if width and side * side == width:
        return Fault(f"{said}: greys of {side}x{side}", f"f['{key}'] = f['{key}'].reshape(-1, {side}, {side})")
    if width and 3 * colour * colour == width:
        planes = f"f['{key}'] = f['{key}'].reshape(-1, 3, {colour}, {colour}).transpose(0, 2, 3, 1)"
        pixels = f"f['{key}'] = f['{key}'].reshape(-1, {colour}, {colour}, 3)"
        first = x[:100].astype(float)
        planar = np.abs(np.diff(first.reshape(-1, 3, colour, colour))).mean()
        if planar <= np.abs(np.diff(first.reshape(-1, colour, colour, 3), axis=2)).mean():
            return Fault(f"{said}: it looks like three planes of {colour}x{colour}", planes)
        return Fault(f"{said}: it looks like {colour}x{colour} pixels of three channels", pixels)
    return Fault(f"{said}; reshape it")


def _channels_first(f: Arrays, key: str) -> Fault | None:
    x = f[key]
    if x.ndim == 4 and x.shape[1] in _CHANNELS and x.shape[3] > 4:
        return Fault(f"{key}: has shape {x.shape}, channels first", f"f['{key}'] = f['{key}'].transpose(0, 2, 3, 1)")
    return None


def _finite(f: Arrays, key: str) -> Fault | None:
    if f[key].dtype.kind != "f" or np.isfinite(f[key]).all():
        return None
    bad = np.array([not np.isfinite(x).all() for x in f[key]])
    said = (
        f"{key}: {bad.sum()} of {len(bad)} images have values that are NaN or infinite, such as number {bad.argmax()}"
    )
    if bad.all():
        return Fault(f"{said}; repair them")
    label = key.replace("x", "y")
    return Fault(
        f"{said}; without them",
        f"k = np.isfinite(f['{key}'].reshape(len(f['{key}']), -1)).all(1); "
        f"f.update({key}=f['{key}'][k], {label}=f['{label}'][k])",
    )


def _eight_bits(f: Arrays) -> Fault | None:
    """Of both parts together, since they have one scale."""
    wrong = [key for key in XS if f[key].dtype != np.uint8]
    if not wrong:
        return None
    kinds = {f[key].dtype for key in wrong}
    low, high = min(f[key].min() for key in wrong), max(f[key].max() for key in wrong)
    said = f"{' and '.join(wrong)}: {'are' if wrong[1:] else 'is'} {' and '.join(sorted(map(str, kinds)))}"
    said += "" if kinds == {np.dtype(bool)} else f" from {low:g} to {high:g}"
    how, why = _scale(kinds, float(low), float(high))
    ends = "float(min(f[k].min() for k in w)), float(max(f[k].max() for k in w))"
    limits = f"a, b = {ends}; " if "a)" in how else ""
    line = f"w = {wrong}; {limits}f.update({{k: {how.format(x='f[k]')}.astype(np.uint8) for k in w}})"
    return Fault(f"{said}, not uint8{why}", line)


def _scale(kinds: set[np.dtype[np.generic]], low: float, high: float) -> tuple[str, str]:
    """How pixels between these become 0..255, and what is to be said of it."""
    whole = all(kind.kind in "iu" for kind in kinds)
    if kinds == {np.dtype(bool)}:
        return "({x} * 255)", ""
    if low >= 0 and high <= 1:
        return "({x} * 255.0).round()", ""
    if low >= 0 and high <= 255:
        return "{x}.round()", ""
    if whole and low >= 0 and high < 2**16:
        bits = int(high).bit_length()
        return f"({{x}} >> {bits - 8})", f"; of its {bits} bits the upper eight"
    if low >= -1 and high <= 1:
        return "(({x} + 1) * 127.5).round()", "; as numbers from -1 to 1"
    return (
        "(({x} - a) / (b - a) * 255).round()",
        "; stretched so that the least is 0 and the greatest 255 (if you know by what mean and std they were "
        "normalised, undo that instead)",
    )


def _alike(f: Arrays) -> Fault | None:
    ours, theirs = ((*f[key].shape[1:], 1)[:3] for key in XS)  # greys have one channel
    if ours == theirs:
        return None
    way = "make them alike, or save them as image files and use data=folder, which brings them to one size"
    return Fault(f"x_train has images {ours}, x_test {theirs}; {way}")


def images(x: Array) -> NDArray[np.uint8]:
    """Checked images as contiguous uint8 (n, H, W, C); greys (n, H, W) get a channel."""
    return np.ascontiguousarray(x[..., None] if x.ndim == 3 else x)
