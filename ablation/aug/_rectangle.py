"""Filling rectangles of images, fast."""

from __future__ import annotations

from functools import reduce
from operator import or_

import torch
from torch import Tensor

from ablation.constant import kept, places


def paint(x: Tensor, top: Tensor, left: Tensor, height: Tensor, width: Tensor, fill: Tensor) -> Tensor:
    """Fill R rectangles of each image; what hangs over the edge is cut off.

    x is (N, C, H, W); top and left are (N, R), height and width anything that broadcasts to it, in pixels; fill
    broadcasts to (N, H, W*C).
    """
    n, c, h, w = x.shape
    rows = _inside(places(h, x.device), top, height)
    # In channels-last memory a row is one run of W*C numbers. A mask of its own for each of them costs a tenth of a
    # mask (N, 1, H, W), which would have to be broadcast along the innermost axis.
    columns = _inside(_columns(w, c, x.device), left, width)
    mask = reduce(or_, [r[:, :, None] & k[:, None, :] for r, k in zip(rows.unbind(1), columns.unbind(1), strict=True)])
    flat = x.permute(0, 2, 3, 1).reshape(n, h, w * c)
    return torch.where(mask, fill, flat).reshape(n, h, w, c).permute(0, 3, 1, 2)


@kept
def _columns(w: int, c: int, device: torch.device) -> Tensor:
    return places(w * c, device) // c


def _inside(positions: Tensor, start: Tensor, extent: Tensor) -> Tensor:
    """(P,), (N, R), (N, R) -> (N, R, P): which positions are in [start, start + extent)."""
    return (positions >= start[..., None]) & (positions < (start + extent)[..., None])
