"""Are these arrays images? Each check says what was found and how to put it right."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from math import isqrt
from typing import NamedTuple

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
    return Fault(f"{said}; repair them, or leave them out")


def _eight_bits(f: Arrays) -> Fault | None:
    """Each part has its scale, and both the same one."""
    wrong = [key for key in XS if f[key].dtype != np.uint8]
    kinds = {key: _scale(f[key]) for key in XS}
    facts = "; ".join(f"{key}: is {_facts(f[key])}" for key in XS)
    if len({*kinds.values()}) > 1:
        return Fault(f"{facts}: these are not on one scale; save both parts as uint8 from 0 to 255")
    if not wrong:
        whites = sorted(int(f[key].max()) for key in XS)
        if whites[0] < WHITE and whites[1] >= _APART * max(whites[0], 1):
            return Fault(f"{facts}: these are hardly on one scale; save both parts with white at 255")
        return None
    scale = kinds["x_train"]
    if scale is None:
        return Fault(
            f"{facts}: the numbers do not tell which value is black and which is white; save both parts as uint8 "
            "from 0 to 255 (if a mean and a std normalised them, undo that)"
        )
    if scale is _BITS and abs(np.diff([_bits(f[key]) for key in XS])[0]) > 1:
        return Fault(f"{facts}: as their bits say, these may not be on one scale; save both as uint8 from 0 to 255")
    names = {f[key].dtype for key in wrong}
    low, high = min(f[key].min() for key in wrong), max(f[key].max() for key in wrong)
    said = f"{' and '.join(wrong)}: {'are' if wrong[1:] else 'is'} {' and '.join(sorted(map(str, names)))}"
    said += "" if names == {np.dtype(bool)} else f" from {low:g} to {high:g}"
    bits = max(_bits(f[key]) for key in XS) if scale is _BITS else 0
    how = scale.how.format(shift=bits - 8)
    why = scale.said.format(bits=bits)
    return Fault(f"{said}, not uint8{why}", f"f.update({{k: {how}.astype(np.uint8) for k in {list(XS)}}})")


class _Scale(NamedTuple):
    """How pixels `f[k]` become 0..255, and what is to be said of it."""

    how: str
    said: str = ""


_ONE = _Scale("(f[k] * 255.0).round()")
_EIGHT = _Scale("f[k].round()")
_BITS = _Scale("(f[k] >> {shift})", "; of its {bits} bits the upper eight")
_SIGNED = _Scale("((f[k] + 1) * 127.5).round()", "; as numbers from -1 to 1")
WHITE = 100  # a set whose brightest pixel is darker than this does not tell what white is
_APART = 4  # times brighter is the brightest pixel of one part: two bits more, or it is another scale


def _scale(x: Array) -> _Scale | None:
    """The scale of a part; None if its numbers do not tell."""
    low, high = float(x.min()), float(x.max())
    if low >= 0 and high <= 1:
        return _ONE
    if x.dtype == np.uint8 or (low >= 0 and WHITE <= high <= 255):
        return _EIGHT
    if x.dtype.kind in "iu" and low >= 0 and 255 < high < 2**16:
        return _BITS
    # What a mean was taken from, or what overshoots 0 to 1, spans hardly more than 1.
    return _SIGNED if low >= -1 and high <= 1 and high - low > 1.5 else None


def _bits(x: Array) -> int:
    return int(x.max()).bit_length()


def _facts(x: Array) -> str:
    return f"{x.dtype} from {float(x.min()):g} to {float(x.max()):g}"


def _alike(f: Arrays) -> Fault | None:
    ours, theirs = ((*f[key].shape[1:], 1)[:3] for key in XS)  # greys have one channel
    if ours == theirs:
        return None
    way = "make them alike, or save them as image files and use data=folder, which brings them to one size"
    return Fault(f"x_train has images {ours}, x_test {theirs}; {way}")


def images(x: Array) -> NDArray[np.uint8]:
    """Checked images as contiguous uint8 (n, H, W, C); greys (n, H, W) get a channel."""
    return np.ascontiguousarray(x[..., None] if x.ndim == 3 else x)
