"""Image files decoded to one size, on all cores there are to use, with a tally of what is remarkable about them."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from ablation.data import _picture
from ablation.errors import DataError
from ablation.machine.allowance import cores

REVISION = 2  # of the pixels that a file is decoded to: entries of the cache from before are not used


class How(NamedTuple):
    """How images are brought to one size."""

    size: int  # of the square that is cut out, in pixels
    resized: int  # what the shorter side is resized to before
    exif_orientation: bool  # whether images are turned as their EXIF tag says


class Decoded(NamedTuple):
    """One image."""

    pixels: NDArray[np.uint8]  # RGB (size, size, 3)
    remarks: frozenset[str]  # of `ablation.data._picture`
    mark: bytes  # 8 bytes of a digest of the file


def decoded(how: How, file: Path) -> Decoded:
    """One image as RGB: its shorter side resized (bilinear, smoothed), then its centre.

    The pixels of torchvision's ImageFolder, Resize and CenterCrop, but for images of 16 bits, which those make white.

    Raises:
        DataError: it cannot be decoded, or not to eight bits.
    """
    try:
        raw = file.read_bytes()
        with Image.open(io.BytesIO(raw)) as opened:
            image, remarks = _picture.picture(file, opened, how.exif_orientation)
    except (DataError, MemoryError):
        raise
    except Exception as e:  # Pillow raises errors of every kind for damaged files
        what = "no image that Pillow knows" if isinstance(e, UnidentifiedImageError) else e
        raise DataError(f"{file}: cannot be decoded ({what}); replace or delete it") from e
    size, shorter = how.size, min(image.size)
    width, height = (side * how.resized // shorter for side in image.size)
    left, top = round((width - size) / 2), round((height - size) / 2)
    image = image.resize((width, height), Image.Resampling.BILINEAR) if shorter != how.resized else image
    pixels = np.asarray(image.crop((left, top, left + size, top + size)))
    if (pixels == pixels[..., :1]).all():
        remarks |= {_picture.GREY}
    return Decoded(pixels, remarks, hashlib.blake2b(raw, digest_size=8).digest())


@dataclass
class Tally:
    """What was remarkable about the files of a part."""

    files: list[Path]
    labels: NDArray[np.int64]
    remarked: dict[str, list[int]] = field(default_factory=dict)  # remark -> positions of files
    marks: list[bytes] = field(default_factory=list)

    def add(self, images: Iterable[Decoded]) -> None:
        """The next images, in order."""
        for image in images:
            for remark in image.remarks:
                self.remarked.setdefault(remark, []).append(len(self.marks))
            self.marks.append(image.mark)

    @property
    def numbers(self) -> NDArray[np.uint64]:
        """The files' digests as numbers (n,)."""
        return np.frombuffer(b"".join(self.marks), np.uint64)


def decoded_all(how: How, tally: Tally, at_once: int = 256) -> Iterator[NDArray[np.uint8]]:
    """The images of the tally's files in order, uint8 (at most at_once, size, size, 3) each time, on all cores."""
    with ThreadPoolExecutor(cores()) as pool:
        for start in range(0, len(tally.files), at_once):
            images = list(pool.map(partial(decoded, how), tally.files[start : start + at_once]))
            tally.add(images)
            yield np.stack([image.pixels for image in images])


def notes(root: Path, train: Tally, test: Tally) -> list[str]:
    """What a person should know of these files, with counts and an example."""
    said, total = [], len(train.files) + len(test.files)
    for remark in (_picture.DEEP, _picture.FRAMES, _picture.TRANSPARENT, _picture.TURNED, _picture.GREY):
        of_train, of_test = ([tally.files[i] for i in tally.remarked.get(remark, [])] for tally in (train, test))
        found = [*of_train, *of_test]
        if found and not (remark == _picture.GREY and len(found) == total):
            mixed = ", the others coloured" if remark == _picture.GREY else ""
            counts = f"{len(found)} of {total} images (train {len(of_train)}, test {len(of_test)})"
            said.append(f"{counts} {remark}{mixed}: {'such as ' * (len(found) > 1)}{found[0].relative_to(root)}")
    return [*said, *_twice(root, train, test)]


def _twice(root: Path, train: Tally, test: Tally) -> Iterator[str]:
    """Files with the same bytes: in both parts, or in two classes of train."""
    ours, theirs = train.numbers, test.numbers
    shared = np.isin(theirs, ours)
    if shared.any():
        at = int(shared.argmax())
        twin = train.files[int((ours == theirs[at]).argmax())]
        yield (
            f"{shared.sum()} of {len(theirs)} images of test are in train too, byte for byte: "
            f"{test.files[at].relative_to(root)} is {twin.relative_to(root)}"
        )
    order = np.argsort(ours, kind="stable")
    same = (ours[order][1:] == ours[order][:-1]) & (train.labels[order][1:] != train.labels[order][:-1])
    if same.any():
        first = int(same.argmax())
        one, other = sorted(train.files[int(order[i])] for i in (first, first + 1))
        yield (
            f"images of train that lie in two classes, byte for byte: {same.sum()}, such as "
            f"{one.relative_to(root)} is {other.relative_to(root)}"
        )
