"""Random crops as one gather over whole pixels, with the flip folded into the column index."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ablation.constant import places
from ablation.key import Key


def crop(x: Tensor, key: Key, height: int, width: int, flip: bool) -> Tensor:
    """One window per image, uniformly placed; with `flip`, mirrored left to right with probability 0.5.

    Args:
        x: uint8 (N, H, W, C), H >= height and W >= width.
        key: draws at the sites "row", "column" and "flip".
        height: rows of the window, in pixels.
        width: columns of the window, in pixels.
        flip: whether to mirror at random.

    Returns:
        uint8 (N, height, width, C), contiguous.
    """
    n, h, w, channels = x.shape
    row = places(n, x.device, step=h) + key.fold("row").integers(h - height + 1, n)  # of all the images' rows
    line = (row[:, None] + places(height, x.device)) * w
    column = places(width, x.device)
    if flip:
        mirrored = places(width, x.device, start=width - 1, step=-1)
        column = torch.where(key.fold("flip").bernoulli(0.5, n)[:, None], mirrored, column)
    column = column + key.fold("column").integers(w - width + 1, n)[:, None]
    pixel = line[:, :, None] + column[:, None]
    # index_select moves a pixel at a time, x[image, row, column] a byte: 0.6 ms against 1.6 ms for 128 CIFAR images
    return x.reshape(-1, channels).index_select(0, pixel.reshape(-1)).reshape(n, height, width, channels)


def padded(x: Tensor, pad: int) -> Tensor:
    """Images (N, H, W, C) with `pad` black pixels on every side."""
    return F.pad(x, (0, 0, pad, pad, pad, pad))


def enlarged(x: Tensor, pad: int) -> Tensor:
    """Images (N, H, W, C) resized (bilinear) to `pad` more pixels in height and width."""
    size = (x.shape[1] + pad, x.shape[2] + pad)
    large = F.interpolate(x.permute(0, 3, 1, 2).float(), size, mode="bilinear", align_corners=False)
    return large.round().to(torch.uint8).permute(0, 2, 3, 1)
