"""Crop a random share of the image, resize it to the old size, mirror at random: the standard view of ImageNet."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ablation.constant import kept, places
from ablation.key import Key
from ablation.types import View

_TRIES = 10


def random_resized_crop(
    pad: int, scale: Sequence[float] = (0.08, 1.0), ratio: Sequence[float] = (3 / 4, 4 / 3), flip: float = 0.5
) -> View:
    """A window of random area and aspect at a random place, resized (bilinear) to the image's size, perhaps mirrored.

    The area is uniform in `scale`, as a share of the image's, and the logarithm of the aspect (width over height)
    uniform in the logarithms of `ratio`; both are drawn again while the window does not fit, ten times at most, after
    which it is the largest central one with an aspect in `ratio`. `pad` plays no part. Szegedy et al. 2014 (1409.4842,
    section 6) with torchvision's defaults.

    Differs: cropped from the image as it is stored, which is already a square of the final size, and not from the file.

    Raises:
        ValueError: an argument is out of range.
    """
    del pad
    if len(scale) != 2 or not 0 < scale[0] <= scale[1] <= 1:
        raise ValueError(f"scale: {scale} is not [low, high] with 0 < low <= high <= 1")
    if len(ratio) != 2 or not 0 < ratio[0] <= ratio[1] < math.inf:
        raise ValueError(f"ratio: {ratio} is not [low, high] with 0 < low <= high")
    if not 0 <= flip <= 1:
        raise ValueError(f"flip: {flip} is not a probability in [0, 1]")

    def view(x: Tensor, key: Key) -> Tensor:
        n, h, w, c = x.shape
        top, left, height, width = boxes(key, n, h, w, scale, ratio)
        above, below, weight = _sources(top, height, centres(h, x.device))
        # Whole rows first: they are runs of memory, and moving a run costs little more than moving a pixel.
        image, lines = places(n, x.device, step=h)[:, None], x.reshape(n * h, w * c)
        one, other = (
            lines.index_select(0, (image + row).reshape(-1)).reshape(n, h, w * c).to(torch.float32)
            for row in (above, below)
        )
        rows = torch.lerp(one, other, weight[:, :, None]).reshape(n * h * w, c)
        mirrored = key.fold("flip").bernoulli(flip, n)[:, None]
        columns = torch.where(mirrored, centres(w, x.device, mirrored=True), centres(w, x.device))
        before, after, weight = _sources(left, width, columns)
        line = places(n * h, x.device, step=w).view(n, h, 1)
        one, other = (
            rows.index_select(0, (line + column[:, None]).reshape(-1)).reshape(n, h, w, c) for column in (before, after)
        )
        return torch.lerp(one, other, weight[:, None, :, None]).round().to(torch.uint8)

    return view


def boxes(
    key: Key, n: int, h: int, w: int, scale: Sequence[float], ratio: Sequence[float]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Top, left, height and width in pixels of N windows, (N,) int64 each."""
    area = (scale[0] + (scale[1] - scale[0]) * key.fold("area").uniform(_TRIES, n)) * (h * w)
    low, high = math.log(ratio[0]), math.log(ratio[1])
    aspect = torch.exp(low + (high - low) * key.fold("aspect").uniform(_TRIES, n))
    height, width = torch.sqrt(area / aspect).round(), torch.sqrt(area * aspect).round()
    fits = (height > 0) & (width > 0) & (height <= h) & (width <= w)
    first = fits.to(torch.uint8).argmax(0, keepdim=True)
    height, width = (side.gather(0, first).squeeze(0).to(torch.int64) for side in (height, width))
    central, found = _central(h, w, ratio), fits.any(0)
    height, width = torch.where(found, height, central[0]), torch.where(found, width, central[1])
    top, left = key.fold("row").integers(h + 1 - height, n), key.fold("column").integers(w + 1 - width, n)
    return torch.where(found, top, (h - height) // 2), torch.where(found, left, (w - width) // 2), height, width


def _central(h: int, w: int, ratio: Sequence[float]) -> tuple[int, int]:
    """Height and width of the largest window whose aspect is in `ratio`."""
    if w / h < ratio[0]:
        return round(w / ratio[0]), w
    if w / h > ratio[1]:
        return h, round(h * ratio[1])
    return h, w


@kept
def centres(length: int, device: torch.device, mirrored: bool = False) -> Tensor:
    """Of the output's pixels, (length,) float32, from the last to the first if mirrored."""
    position = places(length, device) + 0.5
    return position.flip(0) if mirrored else position


def _sources(start: Tensor, extent: Tensor, centre: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """For each output pixel's centre (N or 1, length): the two input positions it lies between, how far to the second.

    The centre of a pixel goes to the centre of where it came from; windows are never larger than the output.
    """
    exact = (centre * (extent[:, None] / centre.shape[-1]) - 0.5).clamp(min=0)
    first = exact.to(torch.int64)
    second = torch.minimum(first + 1, extent[:, None] - 1)
    return start[:, None] + first, start[:, None] + second, exact - first
