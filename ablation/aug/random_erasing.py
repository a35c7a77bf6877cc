"""Random erasing."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ablation.aug._rectangle import paint
from ablation.build import near
from ablation.key import Key
from ablation.types import Aug, Batch

FILLS = ("random", "mean", "black")
_TRIES = 10


def random_erasing(
    p: float = 0.5,
    area: Sequence[float] = (0.02, 0.4),
    aspect: Sequence[float] = (0.3, 10 / 3),
    fill: str = "random",
) -> Aug:
    """With probability p, erase one rectangle inside the image (Zhong et al. 2017, 1708.04896, RE-R by default).

    Its area is uniform in `area`, as a share of the image's, and its aspect (height over width) uniform in `aspect`;
    both are drawn again while it does not fit, then its place is uniform where it fits. Drawn for each image by itself.

    Fill "random": each pixel and channel uniform in 0..255 (RE-R). "mean": the data set's mean (RE-M). "black": 0 in
    every channel (RE-0), which is also what code does that writes U(0, 1) into uint8 images.

    Differs: at most 10 draws, after which the image is left as it is (with the defaults in less than 1e-8 of images);
    place drawn after the size, as in the authors' code, where the paper's Algorithm 1 draws it before and so prefers
    small rectangles. torchvision and timm draw the logarithm of the aspect uniformly.

    Raises:
        ValueError: an argument is out of range.
    """
    if not 0 <= p <= 1:
        raise ValueError(f"p: {p} is not in [0, 1]")
    if len(area) != 2 or not 0 < area[0] <= area[1] <= 1:
        raise ValueError(f"area: {area} is not [low, high] with 0 < low <= high <= 1")
    if len(aspect) != 2 or not 0 < aspect[0] <= aspect[1] < math.inf:
        raise ValueError(f"aspect: {aspect} is not [low, high] with 0 < low <= high")
    if fill not in FILLS:
        raise ValueError(f"fill: there is no {fill!r}; {near(fill, FILLS)}")

    def apply(batch: Batch, key: Key) -> Batch:
        n, c, h, w = batch.x.shape
        height, width = _extent(key, n, h, w, area, aspect)
        chosen = key.fold("apply").bernoulli(p, n)
        top = key.fold("top").integers(h + 1 - height, n)
        left = key.fold("left").integers(w + 1 - width, n)
        plain = batch.mean.repeat(w) * (fill == "mean")
        value = _bytes(key.fold("pixels"), n, h, w * c) if fill == "random" else plain
        height = height * chosen
        return batch._replace(x=paint(batch.x, top[:, None], left[:, None], height[:, None], width[:, None], value))

    return apply


def _extent(key: Key, n: int, h: int, w: int, area: Sequence[float], aspect: Sequence[float]) -> tuple[Tensor, Tensor]:
    """Height and width in pixels, (N,) int64; 0 where no try fits."""
    low, high = area
    pixels = (low + (high - low) * key.fold("area").uniform(_TRIES, n)) * (h * w)
    low, high = aspect
    ratio = low + (high - low) * key.fold("aspect").uniform(_TRIES, n)
    height, width = torch.sqrt(pixels * ratio).round(), torch.sqrt(pixels / ratio).round()
    fits = (height < h) & (width < w)
    first = fits.to(torch.uint8).argmax(0, keepdim=True)
    height, width = ((extent * fits).gather(0, first).squeeze(0).to(torch.int64) for extent in (height, width))
    return height, width


def _bytes(key: Key, *shape: int) -> Tensor:
    """Uniform in {0, 1, ..., 255} / 255: four from each word, a quarter of the work of `key.uniform`."""
    *rows, last = shape
    words = key.bits(*rows, -(-last // 4))
    four = torch.stack([(words >> by) & 255 for by in (0, 8, 16, 24)], -1)
    return four.flatten(-2)[..., :last].to(torch.float32) / 255
