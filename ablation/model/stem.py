"""The first layers: how an image becomes feature maps, and at which resolution."""

from __future__ import annotations

from typing import NamedTuple

from torch import nn

from ablation.build import near


class Stem(NamedTuple):
    """A first convolution of kernel x kernel pixels, with or without a max-pool after it."""

    kernel: int
    stride: int
    pool: bool

    def conv(self, channels: int, width: int) -> nn.Conv2d:
        """The convolution (N, channels, H, W) -> (N, width, H / stride, W / stride)."""
        return nn.Conv2d(channels, width, self.kernel, self.stride, self.kernel // 2, bias=False)

    def maxpool(self) -> nn.Module:
        """The 3x3/2 max-pool of ImageNet's ResNet, or nothing."""
        return nn.MaxPool2d(3, 2, 1) if self.pool else nn.Identity()


STEMS = {
    "3x3/1": Stem(3, 1, pool=False),
    "3x3/2": Stem(3, 2, pool=False),
    "3x3/2+maxpool": Stem(3, 2, pool=True),
    "7x7/2": Stem(7, 2, pool=False),
    "7x7/2+maxpool": Stem(7, 2, pool=True),
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
