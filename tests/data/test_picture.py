"""Every mode that an image file can have: right pixels by a formula, or a refusal that names file, mode and way out."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from ablation.data import _picture
from ablation.data._decode import Decoded, How, decoded
from ablation.data.folder import folder
from ablation.errors import DataError

_DRAW = np.random.default_rng(0)
_RGB = _DRAW.integers(0, 256, (8, 8, 3), dtype=np.uint8)
_GREY = _DRAW.integers(0, 256, (8, 8), dtype=np.uint8)
_ALPHA = _DRAW.integers(1, 255, (8, 8, 1), dtype=np.uint8)
_DEEP = _DRAW.integers(0, 65536, (8, 8, 4), dtype=np.uint16)
_DEEP[0, :5, 0] = 0, 255, 256, 65279, 65535
Pixels = NDArray[np.generic]


def saved(image: Image.Image, kind: str, **how: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **how)
    return file.getvalue()


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(rows: Pixels, colour: int, depth: int, more: bytes = b"", interlaced: bool = False) -> bytes:
    """A PNG by its specification; `rows` are big-endian samples, or packed bits. Interlaced: Adam7 of 8 x 8 pixels."""
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    parts = [rows[top::down, left::right] for top, left, down, right in passes] if interlaced else [rows]
    raw = b"".join(b"\0" + row.tobytes() for part in parts for row in part)
    head = struct.pack(">IIBBBBB", 8, 8, depth, colour, 0, 0, interlaced)
    body = chunk(b"IHDR", head) + more + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def big(values: Pixels) -> Pixels:
    return values.astype(">u2")


def upper(values: Pixels) -> Pixels:
    return np.stack([values >> 8] * 3, -1) if values.ndim == 2 else values[..., :3] >> 8


def twelve() -> bytes:
    """A grey TIFF of twelve bits a pixel, two in three bytes, all white; by its specification: Pillow writes none."""
    data, entries = b"\xff" * 96, [(256, 3, 8), (257, 3, 8), (258, 3, 12), (259, 3, 1), (262, 3, 1), (273, 4, 8)]
    entries += [(277, 3, 1), (278, 3, 8), (279, 4, len(data))]
    tags = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    return struct.pack("<2sHI", b"II", 42, 8 + len(data)) + data + struct.pack("<H", len(entries)) + tags + bytes(4)


def three(grey: Pixels) -> Pixels:
    return np.stack([grey] * 3, -1)


def palette() -> tuple[Image.Image, Pixels]:
    image = Image.fromarray(_GREY % 5, "L").copy()
    image.putpalette(bytes(range(0, 150, 10)), "RGB")
    return image, np.arange(0, 150, 10).reshape(5, 3)[_GREY % 5]


def cmyk() -> Pixels:
    inks = 255 - np.concatenate([_RGB, _GREY[..., None]], -1).astype(int)
    return np.round((255 - inks[..., :3]) * (255 - inks[..., 3:]) / 255)


def ycbcr(values: Pixels) -> Pixels:
    """JFIF 1.02."""
    y, cb, cr = (values[..., i].astype(float) for i in range(3))
    return np.stack(
        [y + 1.402 * (cr - 128), y - 0.344136 * (cb - 128) - 0.714136 * (cr - 128), y + 1.772 * (cb - 128)], -1
    )


def lab() -> Image.Image:
    profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    smooth = Image.fromarray(_RGB // 2 + 64)
    converted = ImageCms.profileToProfile(smooth, *profiles, outputMode="LAB")
    assert converted is not None
    return converted


def with_alpha(kind: str) -> bytes:
    return saved(
        Image.fromarray(np.concatenate([_RGB, _ALPHA], -1)),
        kind,
        **({"lossless": True, "exact": True} if kind == "WEBP" else {}),
    )


INKS = Image.frombytes("CMYK", (8, 8), (255 - np.concatenate([_RGB, _GREY[..., None]], -1)).tobytes())
LA = Image.frombytes("LA", (8, 8), np.concatenate([_GREY[..., None], _ALPHA], -1).tobytes())
BITS = _GREY > 127
# File name -> content, the pixels that are right, remarks, and how far a conversion of colours may round.
RIGHT: dict[str, tuple[bytes, Pixels, set[str], int]] = {
    "1.png": (saved(Image.fromarray(BITS), "PNG"), three(BITS * 255), {_picture.GREY}, 0),
    "1.tif": (saved(Image.fromarray(BITS), "TIFF"), three(BITS * 255), {_picture.GREY}, 0),
    "1.pgm": (saved(Image.fromarray(BITS), "PPM"), three(BITS * 255), {_picture.GREY}, 0),
    "1.bmp": (saved(Image.fromarray(BITS), "BMP"), three(BITS * 255), {_picture.GREY}, 0),
    "grey of 2 bits.png": (
        png(np.packbits(np.stack([_GREY >> 7, (_GREY >> 6) & 1], -1).reshape(8, 16), axis=1), 0, 2),
        three((_GREY >> 6) * 85),
        {_picture.GREY},
        0,
    ),
    "L.png": (saved(Image.fromarray(_GREY), "PNG"), three(_GREY), {_picture.GREY}, 0),
    "L.tif": (saved(Image.fromarray(_GREY), "TIFF"), three(_GREY), {_picture.GREY}, 0),
    "L.pgm": (saved(Image.fromarray(_GREY), "PPM"), three(_GREY), {_picture.GREY}, 0),
    "L.gif": (saved(Image.fromarray(_GREY), "GIF"), three(_GREY), {_picture.GREY}, 0),
    "L with a transparent level.png": (
        saved(Image.fromarray(_GREY), "PNG", transparency=int(_GREY[3, 4])),
        three(_GREY),
        {_picture.GREY, _picture.TRANSPARENT},
        0,
    ),
    "LA.png": (saved(LA, "PNG"), three(_GREY), {_picture.GREY, _picture.TRANSPARENT}, 0),
    "LA.tif": (saved(LA, "TIFF"), three(_GREY), {_picture.GREY, _picture.TRANSPARENT}, 0),
    "P.png": (saved(palette()[0], "PNG"), palette()[1], set(), 0),
    "P.bmp": (saved(palette()[0], "BMP"), palette()[1], set(), 0),
    "P.gif": (saved(palette()[0], "GIF"), palette()[1], set(), 0),
    "P with alphas.png": (
        saved(palette()[0], "PNG", transparency=bytes([0, 90, 255])),
        palette()[1],
        {_picture.TRANSPARENT},
        0,
    ),
    "P with a transparent colour.gif": (
        saved(palette()[0], "GIF", transparency=2),
        palette()[1],
        {_picture.TRANSPARENT},
        0,
    ),
    "PA.tif": (saved(palette()[0].convert("PA"), "TIFF"), palette()[1], set(), 0),
    "RGB.png": (saved(Image.fromarray(_RGB), "PNG"), _RGB, set(), 0),
    "RGB.tif": (saved(Image.fromarray(_RGB), "TIFF"), _RGB, set(), 0),
    "RGB.ppm": (saved(Image.fromarray(_RGB), "PPM"), _RGB, set(), 0),
    "RGB.bmp": (saved(Image.fromarray(_RGB), "BMP"), _RGB, set(), 0),
    "RGB.webp": (saved(Image.fromarray(_RGB), "WEBP", lossless=True), _RGB, set(), 0),
    "RGB named.jpg": (saved(Image.fromarray(_RGB), "PNG"), _RGB, set(), 0),
    "RGB with a transparent colour.png": (
        saved(Image.fromarray(_RGB), "PNG", transparency=tuple(map(int, _RGB[1, 2]))),
        _RGB,
        {_picture.TRANSPARENT},
        0,
    ),
    "interlaced.png": (png(_RGB, 2, 8, interlaced=True), _RGB, set(), 0),
    "interlaced of 16 bits.png": (png(big(_DEEP[..., :3]), 2, 16, interlaced=True), upper(_DEEP), {_picture.DEEP}, 0),
    "RGBA.png": (with_alpha("PNG"), _RGB, {_picture.TRANSPARENT}, 0),
    "RGBA.tif": (with_alpha("TIFF"), _RGB, {_picture.TRANSPARENT}, 0),
    "RGBA.webp": (with_alpha("WEBP"), _RGB, {_picture.TRANSPARENT}, 0),
    "opaque RGBA.png": (saved(Image.fromarray(_RGB).convert("RGBA"), "PNG"), _RGB, set(), 0),
    "CMYK.tif": (saved(INKS, "TIFF"), cmyk(), set(), 1),
    "CMYK.jpg": (saved(INKS, "JPEG", quality=100, subsampling=0), cmyk(), set(), 40),
    "YCbCr.tif": (saved(Image.frombytes("YCbCr", (8, 8), _RGB.tobytes()), "TIFF"), ycbcr(_RGB).clip(0, 255), set(), 1),
    "I;16.png": (png(big(_DEEP[..., 0]), 0, 16), upper(_DEEP[..., 0]), {_picture.DEEP, _picture.GREY}, 0),
    "I;16.tif": (
        saved(Image.fromarray(_DEEP[..., 0]), "TIFF"),
        upper(_DEEP[..., 0]),
        {_picture.DEEP, _picture.GREY},
        0,
    ),
    "I;16B.tif": (
        saved(Image.frombytes("I;16B", (8, 8), big(_DEEP[..., 0]).tobytes()), "TIFF"),
        upper(_DEEP[..., 0]),
        {_picture.DEEP, _picture.GREY},
        0,
    ),
    "16 bits.pgm": (
        b"P5 8 8 65535\n" + big(_DEEP[..., 0]).tobytes(),
        upper(_DEEP[..., 0]),
        {_picture.DEEP, _picture.GREY},
        0,
    ),
    "12 bits.pgm": (
        b"P5 8 8 4095\n" + big(_DEEP[..., 0] >> 4).tobytes(),
        three(np.round((_DEEP[..., 0] >> 4) * (65535 / 4095)).astype(int) >> 8),
        {_picture.DEEP, _picture.GREY},
        1,
    ),
    "RGB of 16 bits.png": (png(big(_DEEP[..., :3]), 2, 16), upper(_DEEP), {_picture.DEEP}, 0),
    "LA of 16 bits.png": (
        png(big(_DEEP[..., :2]), 4, 16),
        three(_DEEP[..., 0] >> 8),
        {_picture.DEEP, _picture.GREY, _picture.TRANSPARENT},
        0,
    ),
    "RGBA of 16 bits.png": (png(big(_DEEP), 6, 16), upper(_DEEP), {_picture.DEEP, _picture.TRANSPARENT}, 0),
}  # fmt: skip


def read(tmp_path: Path, name: str, content: bytes, turn: bool = False) -> Decoded:
    file = tmp_path / name
    file.write_bytes(content)
    return decoded(How(8, 8, turn), file)


@pytest.mark.parametrize("name", RIGHT)
def test_right_pixels(name: str, tmp_path: Path) -> None:
    content, wanted, remarks, rounding = RIGHT[name]
    found = read(tmp_path, name, content)
    assert found.remarks == remarks
    assert np.abs(found.pixels.astype(int) - wanted.astype(int)).max() <= rounding


def test_premultiplied_colours_are_divided_by_their_alpha(tmp_path: Path) -> None:
    """A TIFF whose fourth sample is "associated alpha" (ExtraSamples 1), which Pillow reads but does not write."""
    raw = bytearray(
        saved(
            Image.fromarray(np.concatenate([(_RGB.astype(int) * _ALPHA // 255).astype(np.uint8), _ALPHA], -1)), "TIFF"
        )
    )
    tag = raw.index(struct.pack("<HHI", 338, 3, 1)) + 8
    raw[tag : tag + 2] = struct.pack("<H", 1)
    found = read(tmp_path, "RGBa.tif", bytes(raw)).pixels.astype(int)
    visible = _ALPHA[..., 0] > 60
    assert np.abs(found - _RGB.astype(int))[visible].max() <= 255 // 60 + 1


def test_lab_is_right_or_refused(tmp_path: Path) -> None:
    """Older versions of Pillow do not convert it."""
    try:
        found = read(tmp_path, "LAB.tif", saved(lab(), "TIFF")).pixels
    except DataError as e:
        assert "LAB.tif: cannot be decoded (conversion from LAB to RGB" in str(e)  # noqa: PT017
    else:
        assert np.abs(found.astype(int) - (_RGB // 2 + 64)).max() <= 8


INTEGERS = (_DEEP[..., 0].astype(np.int32) - 30000) * 1000
REFUSED = {
    "I.tif": (saved(Image.fromarray(INTEGERS), "TIFF"), "mode I, whole numbers of up to 32 bits"),
    "I;16S.tif": (
        saved(Image.fromarray(_DEEP[..., 0]), "TIFF").replace(
            struct.pack("<HHIHH", 259, 3, 1, 1, 0), struct.pack("<HHIHH", 339, 3, 1, 2, 0)
        ),
        "mode I, whole numbers",
    ),
    "inverted 16.tif": (
        saved(Image.fromarray(_DEEP[..., 0]), "TIFF").replace(
            struct.pack("<HHIHH", 262, 3, 1, 1, 0), struct.pack("<HHIHH", 262, 3, 1, 0, 0)
        ),
        "stands for white with 0 \\(WhiteIsZero\\)",
    ),
    "12 bits.tif": (twelve(), "has 12 bits a pixel"),
    "F.tif": (saved(Image.fromarray(_GREY.astype(np.float32)), "TIFF"), "mode F, floats of 32 bits"),
    "F.ppm": (b"Pf 8 8 -1\n" + _GREY.astype("<f4").tobytes(), "mode F, floats"),
    "text.jpg": (b"hello", "no image that Pillow knows"),
    "empty.png": (b"", "no image that Pillow knows"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_name(name: str, tmp_path: Path) -> None:
    content, why = REFUSED[name]
    with pytest.raises(DataError, match=f"{name}: .*{why}.*; (scale them .* 8 bits a channel|replace or delete it)"):
        read(tmp_path, name, content)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "GIF", "WEBP", "BMP", "PPM"])
def test_half_a_file_is_refused(kind: str, tmp_path: Path) -> None:
    whole = saved(Image.fromarray(_DRAW.integers(0, 256, (40, 41, 3), dtype=np.uint8)), kind)
    with pytest.raises(DataError, match=r"half: cannot be decoded \(.*replace or delete it"):
        read(tmp_path, "half", whole[: len(whole) // 2])


# EXIF 2.3, tag 274: where the stored first row and column belong.
TURNS: dict[int, Callable[[Pixels], Pixels]] = {
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.swapaxes(0, 1),
    6: lambda x: x[::-1].swapaxes(0, 1),
    7: lambda x: x[::-1, ::-1].swapaxes(0, 1),
    8: lambda x: x[:, ::-1].swapaxes(0, 1),
}


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("number", TURNS)
def test_orientations(number: int, kind: str, tmp_path: Path) -> None:
    tags = Image.Exif()
    tags[0x0112] = number
    content = saved(Image.fromarray(_RGB), kind, exif=tags, **({"lossless": True} if kind == "WEBP" else {}))
    asked, plain = read(tmp_path, "x", content, turn=True), read(tmp_path, "x", content)
    assert np.array_equal(asked.pixels, TURNS[number](_RGB))
    assert np.array_equal(plain.pixels, TURNS[number](_RGB) if kind == "TIFF" else _RGB)
    assert plain.remarks == ({_picture.TURNED} if number > 1 and kind != "TIFF" else set())
    assert not asked.remarks


def test_a_photograph_s_orientation(tmp_path: Path) -> None:
    tags = Image.Exif()
    tags[0x0112] = 6
    content = saved(Image.fromarray(_RGB), "JPEG", exif=tags)
    assert read(tmp_path, "x.jpg", content).remarks == {_picture.TURNED}
    upright, turned = read(tmp_path, "x.jpg", content).pixels, read(tmp_path, "x.jpg", content, turn=True).pixels
    assert np.array_equal(turned, TURNS[6](upright))


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "PNG", "WEBP"])
def test_the_first_of_several_frames(kind: str, tmp_path: Path) -> None:
    first, second = palette()[0].convert("RGB"), Image.new("RGB", (8, 8), (9, 200, 9))
    how = {"lossless": True} if kind == "WEBP" else {}
    found = read(tmp_path, "x", saved(first, kind, save_all=True, append_images=[second], **how))
    assert np.array_equal(found.pixels, palette()[1])
    assert found.remarks == {_picture.FRAMES}


def test_what_is_odd_is_counted(tree: Path) -> None:
    files = {"train/cat/0.png": "I;16.png", "train/cat/1.png": "RGBA.png", "val/dog/0.png": "L.png"}
    for file, name in files.items():
        (tree / file).write_bytes(RIGHT[name][0])
    tags = Image.Exif()
    tags[0x0112] = 6
    Image.fromarray(_RGB).save(tree / "train" / "dog" / "1.png", exif=tags)
    notes = folder(str(tree), size=8).notes
    assert notes == folder(str(tree), size=8).notes, "from the cache"
    said = {note.partition(") ")[2]: note.partition(") ")[0] for note in notes[1:]}
    assert said == {
        f"{_picture.DEEP}: train/cat/0.png": "1 of 10 images (train 1, test 0",
        f"{_picture.TRANSPARENT}: train/cat/1.png": "1 of 10 images (train 1, test 0",
        f"{_picture.TURNED}: train/dog/1.png": "1 of 10 images (train 1, test 0",
        f"{_picture.GREY}, the others coloured: such as train/cat/0.png": "2 of 10 images (train 1, test 1",
    }
    assert not any("EXIF" in note for note in folder(str(tree), size=8, exif_orientation=True).notes)


def test_grey_sets_are_no_news(tree: Path) -> None:
    for file in tree.glob("*/*/*.png"):
        with Image.open(file) as opened:
            grey = opened.convert("L")
        grey.save(file)
    assert not any("grey" in note for note in folder(str(tree), size=8).notes)
