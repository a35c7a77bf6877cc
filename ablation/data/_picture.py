"""One image file as eight-bit RGB: what becomes of every mode that a file can have, and what is remarkable about it.

    1, L, LA, P, PA, RGB, RGBA   as they are; grey in all three channels, a palette's colours, without transparency
    CMYK, YCbCr, LAB, HSV        as Pillow converts them, without colour profiles
    16 bits a channel            the upper eight bits, as libpng's `png_set_strip_16` does; Pillow rounds a colour PPM's
    grey TIFF of 9 to 15 bits, or of 16 with white as 0: refused, since Pillow hands them on without their scale
    I, F                         whole numbers of 32 bits and floats: refused, since nothing says which value is white

An animation, or a file of several pages, is its first one. A TIFF's own orientation is a part of its format and always
applied, by Pillow; the EXIF tag that cameras write into others only when asked: torchvision's ImageFolder ignores it.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from ablation.errors import DataError

# What a file can be, and how that is said of a number of files.
DEEP = "have 16 bits a channel, of which the upper eight are taken"
FRAMES = "have several frames or pages, of which the first is taken"
TRANSPARENT = "are transparent in places, where the colours below are taken"
TURNED = "have an EXIF orientation that is not applied; data.exif_orientation=true turns them"
GREY = "are grey"

_EIGHT = frozenset(("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB", "HSV"))
_SIXTEEN = frozenset(("I;16", "I;16B", "I;16L", "I;16N"))
_PROMISED = ("PNG", "PPM")  # formats whose mode I holds 16 bits, by Pillow's age
_BITS, _PHOTOMETRIC = 258, 262  # TIFF's numbers of BitsPerSample and PhotometricInterpretation
_ORIENTATION = 0x0112  # EXIF's number of the tag; 1 is upright


class Picture(NamedTuple):
    """An image, and which of the remarks above are true of its file."""

    image: Image.Image  # of mode RGB
    remarks: frozenset[str]


def picture(file: Path, opened: Image.Image, exif_orientation: bool) -> Picture:
    """The opened file's pixels.

    Raises:
        DataError: its mode has no scale that could be turned into eight bits.
        Exception: of many kinds, if the file is damaged.
    """
    remarks = set()
    if opened.format == "TIFF" and opened.mode in _SIXTEEN:
        _check_scale(file, opened)
    if opened.format != "MPO" and getattr(opened, "is_animated", False):  # MPO: a photograph with its preview
        remarks.add(FRAMES)
    if any(";16" in str(tile[3]) for tile in getattr(opened, "tile", ())) or opened.mode in ("I", *_SIXTEEN):
        remarks.add(DEEP)
    opened.load()
    if _turned(opened):
        if exif_orientation:
            opened = ImageOps.exif_transpose(opened)
        else:
            remarks.add(TURNED)
    if opened.mode in _SIXTEEN or (opened.mode == "I" and opened.format in _PROMISED):
        upper = (np.asarray(opened).astype(np.uint16) >> 8).astype(np.uint8)
        return Picture(Image.fromarray(upper).convert("RGB"), frozenset(remarks))
    if opened.mode not in _EIGHT:
        raise DataError(
            f"{file}: has pixels of mode {opened.mode}, {_kind(opened.mode)}, and nothing says which value is white; "
            "scale them to 0..255 and save it with 8 bits a channel, or to 0..65535 with 16"
        )
    if "A" in opened.getbands() or "transparency" in opened.info:
        opened = opened.convert("RGBA")
        if opened.getchannel("A").getextrema() != (255, 255):
            remarks.add(TRANSPARENT)
    return Picture(opened.convert("RGB"), frozenset(remarks))


def _check_scale(file: Path, opened: Image.Image) -> None:
    """Of a grey TIFF, whose tags Pillow does not apply above eight bits.

    Raises:
        DataError: white is not 65535.
    """
    tags = opened.tag_v2  # type: ignore[attr-defined]
    bits, inverted = tags.get(_BITS, (16,))[0], tags.get(_PHOTOMETRIC, 1) == 0
    if bits != 16 or inverted:
        what = f"{bits} bits a pixel" if bits != 16 else "16 bits a pixel and stands for white with 0 (WhiteIsZero)"
        raise DataError(
            f"{file}: has {what}, and nothing scales that; "
            "scale them to 0..255 and save it with 8 bits a channel, or to 0..65535 with 16, white as the highest"
        )


def _kind(mode: str) -> str:
    return {"I": "whole numbers of up to 32 bits with a sign", "F": "floats of 32 bits"}.get(mode, "which is rare")


def _turned(opened: Image.Image) -> bool:
    """Whether the file says that it is to be turned or mirrored."""
    try:
        return int(opened.getexif().get(_ORIENTATION, 1)) in range(2, 9)
    except Exception:  # of any kind, where the tags are damaged: they are no reason to refuse sound pixels
        return False
