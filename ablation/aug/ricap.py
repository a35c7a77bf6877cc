"""RICAP: random image cropping and patching."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ablation.aug._pair import PERS
from ablation.build import near
from ablation.key import Key
from ablation.types import Aug, Batch


def ricap(beta: float = 0.3, per: str = "batch") -> Aug:
    """Patch each image together from random crops of four (Takahashi et al. 2018, 1811.09030).

    A boundary (w, h) = (round(W u), round(H v)) with u, v ~ Beta(beta, beta) divides the image into w x h, (W - w) x h,
    w x (H - h) and (W - w) x (H - h). Each quarter k is filled with a crop of its own size, uniformly placed, of an
    image that a permutation of its own takes from the batch, and y' = sum_k area_k / (W H) y_k. A small beta favours
    boundaries at the edge, and so nearly whole images. beta 0 changes nothing: the limit, whole images.

    The paper turns the usual padded crop off: `data.view=pad_crop_flip data.pad=0` leaves only the flip.

    Options: one boundary and four places per batch, as in the authors' code, or per sample.

    Raises:
        ValueError: an argument is out of range.
    """
    if not 0 <= beta < float("inf"):
        raise ValueError(f"beta: {beta} is not a finite number from 0 up")
    if per not in PERS:
        raise ValueError(f"per: there is no {per!r}; {near(per, PERS)}")

    def apply(batch: Batch, key: Key) -> Batch:
        if beta == 0:
            return batch
        n, c, h, w = batch.x.shape
        m = n if per == "sample" else 1
        rows, columns = _axis(key.fold("row"), beta, m, h), _axis(key.fold("column"), beta, m, w)
        y, corners = torch.zeros_like(batch.y), []
        for k in range(4):
            (height, top), (width, left) = rows.part(k // 2, k), columns.part(k % 2, k)
            partner = key.fold("partner").fold(k).permutation(n)
            y = y + (height * width / (h * w))[:, None] * batch.y[partner]
            corners.append(((partner * h + top) * w + left)[:, None])  # of the crop, as a pixel of the whole batch
        upper, lower = (torch.where(columns.second, b, a) for a, b in (corners[:2], corners[2:]))
        corner = torch.where(rows.second[:, :, None], lower[:, None], upper[:, None])
        pixel = corner + rows.within[:, :, None] * w + columns.within[:, None]
        flat = batch.x.permute(0, 2, 3, 1).reshape(-1, c)
        x = flat.index_select(0, pixel.reshape(-1)).reshape(n, h, w, c).permute(0, 3, 1, 2)
        return batch._replace(x=x, y=y)

    return apply


class _Axis(NamedTuple):
    """How one side of the images is divided; M is 1 or N."""

    key: Key
    border: Tensor  # (M,) int64, in 0..length
    second: Tensor  # (M, length) bool, which pixels are beyond the border
    within: Tensor  # (M, length) int64, their position in their own part

    def part(self, second: int, k: int) -> tuple[Tensor, Tensor]:
        """Extent (M,) of a part, and where quarter k's crop of it begins (M,)."""
        length = self.second.shape[1]
        extent = length - self.border if second else self.border
        return extent, self.key.fold("crop").fold(k).integers(length + 1 - extent, len(extent))


def _axis(key: Key, beta: float, m: int, length: int) -> _Axis:
    border = (key.fold("border").beta(beta, beta, m) * length).round().to(torch.int64)
    position = torch.arange(length, device=border.device)
    second = position >= border[:, None]
    return _Axis(key, border, second, position - second * border[:, None])
