"""The first layers: how an image becomes feature maps, and at which resolution."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import nn

from ablation.build import near


class Stem(NamedTuple):
    """The first convolution, or three of them ("deep"), with or without a max-pool after it."""

    kernel: int
    stride: int
    pool: bool
    deep: bool = False

    def conv(
        self, channels: int, width: int, norm: Callable[[int], nn.Module], act: Callable[[], nn.Module]
    ) -> nn.Module:
        """What maps (N, channels, H, W) to (N, width, H / stride, W / stride), without the norm that follows.

        "deep" is Inception-v2's in place of the 7x7 (He et al. 2018, 1812.01187: ResNet-C): three 3x3 convolutions of
        width / 2, width / 2 and width channels, with norms and activations between them.
        """
        if not self.deep:
            return _conv(channels, width, self.kernel, self.stride)
        half = max(width // 2, 1)
        first, second, third = _conv(channels, half, 3, self.stride), _conv(half, half, 3), _conv(half, width, 3)
        return nn.Sequential(first, norm(half), act(), second, norm(half), act(), third)

    def maxpool(self) -> nn.Module:
        """The 3x3/2 max-pool of ImageNet's ResNet, or nothing."""
        return nn.MaxPool2d(3, 2, 1) if self.pool else nn.Identity()

    def side(self, size: int) -> int:
        """Of the maps that come out of images of `size` px, in pixels."""
        return -(-size // (self.stride * (2 if self.pool else 1)))


def _conv(inside: int, out: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inside, out, kernel, stride, kernel // 2, bias=False)


STEMS = {
    "3x3/1": Stem(3, 1, pool=False),
    "3x3/2": Stem(3, 2, pool=False),
    "3x3/2+maxpool": Stem(3, 2, pool=True),
    "7x7/2": Stem(7, 2, pool=False),
    "7x7/2+maxpool": Stem(7, 2, pool=True),
    "deep/1": Stem(3, 1, pool=False, deep=True),
    "deep/2": Stem(3, 2, pool=False, deep=True),
    "deep/2+maxpool": Stem(3, 2, pool=True, deep=True),
}


def find_stem(name: str, size: int, deeper: int) -> Stem:
    """The stem of this name, for images of `size` px and a network that divides their side by `deeper` after it.

    Raises:
        ValueError: there is no such stem, or the images are smaller than one step of the last feature map.
    """
    if name not in STEMS:
        raise ValueError(f"stem: there is no {name!r}; {near(name, STEMS)}")
    stem = STEMS[name]
    needed = stem.stride * (2 if stem.pool else 1) * deeper
    if size < needed:
        raise ValueError(f"stem: {name} needs images of at least {needed} px, these have {size}; try a smaller stride")
    return stem
