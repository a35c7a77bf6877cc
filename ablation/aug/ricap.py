"""RICAP: random image cropping and patching."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ablation.aug._pair import PERS
from ablation.build import near
from ablation.constant import places
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
        u, v = key.betas((("row", "border"), ("column", "border")), beta, beta, m)
        rows, columns = _axis(u, h), _axis(v, w)
        height, width = rows.extent[:, None], columns.extent[None]  # of quarters (2, 2, M): a row of them, a column
        top, left = rows.begin(key.fold("row"), height), columns.begin(key.fold("column"), width)
        partner = torch.stack([key.fold("partner").fold(k).permutation(n) for k in range(4)])
        share = (height * width / (h * w)).reshape(4, m, 1)
        first, second, third, fourth = (share * batch.y.index_select(0, partner.flatten()).view(4, n, -1)).unbind(0)
        # Where each crop begins, as a pixel of the whole batch.
        corner = ((partner * h + top) * w + left).view(2, 2, n, 1)
        upper, lower = torch.where(columns.second, corner[:, 1], corner[:, 0]).unbind(0)
        corner = torch.where(rows.second[:, :, None], lower[:, None], upper[:, None])
        pixel = corner + (rows.within * w)[:, :, None] + columns.within[:, None]
        flat = batch.x.permute(0, 2, 3, 1).reshape(-1, c)
        x = flat.index_select(0, pixel.reshape(-1)).reshape(n, h, w, c).permute(0, 3, 1, 2)
        return batch._replace(x=x, y=first + second + third + fourth)

    return apply


class _Axis(NamedTuple):
    """How one side of the images is divided; M is 1 or N."""

    extent: Tensor  # (2, M) int64, of the part before the border and of the one beyond it
    second: Tensor  # (M, length) bool, which pixels are beyond the border
    within: Tensor  # (M, length) int64, their position in their own part

    def begin(self, key: Key, extent: Tensor) -> Tensor:
        """Where the quarters' crops of these extents begin, (2, 2, M) broadcast -> (4, M) int64."""
        m, length = extent.shape[-1], self.second.shape[1]
        u = key.uniforms(tuple(("crop", k) for k in range(4)), m).view(2, 2, m)
        return (u * (length + 1 - extent)).to(torch.int64).view(4, m)


def _axis(share: Tensor, length: int) -> _Axis:
    border = (share * length).round().to(torch.int64)
    position = places(length, border.device)
    second = position >= border[:, None]
    return _Axis(torch.stack([border, length - border]), second, position - second * border[:, None])
