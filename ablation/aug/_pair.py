"""What the augmentations that pair images share."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ablation.aug._rectangle import paint
from ablation.key import Key

PERS = ("batch", "sample")  # whether a batch shares its draws


class Box(NamedTuple):
    """A rectangle of pixels, one or one an image: (M,) int64 each."""

    top: Tensor
    left: Tensor
    height: Tensor
    width: Tensor

    def cut(self, applied: Tensor) -> Box:
        """Without pixels where `applied` (M,) is false."""
        return self._replace(width=self.width * applied)

    def left_over(self, h: int, w: int) -> Tensor:
        """(M,) float32, the share of h x w pixels outside."""
        return 1 - self.height * self.width / (h * w)

    def filled(self, x: Tensor, other: Tensor) -> Tensor:
        """Images x (N, C, H, W) with the rectangle's pixels taken from the others."""
        n, c, h, w = x.shape
        fill = other.permute(0, 2, 3, 1).reshape(n, h, w * c)
        top, left, height, width = (side[:, None].expand(n, 1) for side in self)
        return paint(x, top, left, height, width, fill)


def cutmix_box(key: Key, lam: Tensor, h: int, w: int) -> Box:
    """CutMix's rectangle: a share 1 - lam (M,) of the area, its centre uniform, cut off at the edge."""
    top, height = _side(key.fold("row"), lam, h)
    left, width = _side(key.fold("column"), lam, w)
    return Box(top, left, height, width)


def _side(key: Key, lam: Tensor, length: int) -> tuple[Tensor, Tensor]:
    half = (torch.sqrt(1 - lam) * length).to(torch.int64) // 2
    centre = key.integers(length, len(lam))
    start, end = (centre - half).clamp(min=0), (centre + half).clamp(max=length)
    return start, end - start


def gathered(x: Tensor, index: Tensor) -> Tensor:
    """Images x (N, C, H, W) in another order, channels-last: index_select moves whole images."""
    return x.permute(0, 2, 3, 1).index_select(0, index).permute(0, 3, 1, 2)
