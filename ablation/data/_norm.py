"""Means and standard deviations per channel, for pixels in [0, 1]."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Norm = tuple[tuple[float, ...], tuple[float, ...]]  # mean, std

IMAGENET: Norm = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


class Moments:
    """Adds up pixels in whole numbers, so that the result depends neither on order nor on the machine."""

    def __init__(self) -> None:
        self._count, self._sum, self._square = 0, np.zeros(1, np.int64), np.zeros(1, np.int64)

    def add(self, x: NDArray[np.uint8]) -> None:
        """Images (n, H, W, C)."""
        for part in np.array_split(x, max(1, x.nbytes >> 22)):
            flat = part.reshape(len(part), -1)
            self._sum = self._sum + _channels(flat.sum(0, dtype=np.int64), x.shape[-1])
            self._square = self._square + _channels(
                np.square(flat, dtype=np.uint16).sum(0, dtype=np.int64), x.shape[-1]
            )
        self._count += x.size // x.shape[-1]

    def norm(self) -> Norm:
        """Mean and per-pixel standard deviation of each channel; a constant channel gets 1, and so becomes 0."""
        mean = self._sum / self._count
        std = np.sqrt(self._square / self._count - mean**2)
        std = np.where(std > 0, std, 255.0)
        return tuple((mean / 255).tolist()), tuple((std / 255).tolist())


def _channels(sums: NDArray[Any], channels: int) -> NDArray[Any]:
    total: NDArray[Any] = sums.reshape(-1, channels).sum(0)
    return total


def computed(x: NDArray[np.uint8]) -> Norm:
    """Of images (n, H, W, C)."""
    moments = Moments()
    moments.add(x)
    return moments.norm()


def chosen(norm: str, pixel: Norm) -> Norm:
    """The constants by name: `pixel` as given, or `imagenet`'s.

    Raises:
        ValueError: ImageNet's constants are asked for images that are not RGB.
    """
    if norm == "imagenet" and len(pixel[0]) != 3:
        raise ValueError(f"norm: imagenet is for 3 channels, the images have {len(pixel[0])}; use norm=pixel")
    return IMAGENET if norm == "imagenet" else pixel
