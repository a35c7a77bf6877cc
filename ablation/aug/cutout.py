"""Cutout."""

from __future__ import annotations

import torch

from ablation.aug._draw import whole
from ablation.aug._rectangle import paint
from ablation.key import Key
from ablation.types import Aug, Batch

_LARGEST = 10_000  # pixels of a square's side


def cutout(size: int = 16, holes: int = 1) -> Aug:
    """Mask out size x size squares, centred on uniform pixels of each image (DeVries & Taylor 2017, 1708.04552).

    A square may hang over the edge, so that less than size^2 pixels are lost: the paper finds that to matter. The mask
    is the data set's mean, which is 0 after normalisation. Size 16 for CIFAR-10 and 8 for CIFAR-100. Drawn for each
    image by itself.

    Differs: applied before normalisation instead of after, which is the same; an odd size is kept as it is, where the
    authors' code takes size - 1.

    Raises:
        ValueError: an argument is out of range.
    """
    size = whole("size", size, 0, "it is the side of the square in pixels, 0 changes nothing", _LARGEST)
    holes = whole("holes", holes, 1, "leave cutout out for none")

    def apply(batch: Batch, key: Key) -> Batch:
        n, _, h, w = batch.x.shape
        top = key.fold("row").integers(h, n, holes) - size // 2
        left = key.fold("column").integers(w, n, holes) - size // 2
        side = torch.full_like(top, size)
        return batch._replace(x=paint(batch.x, top, left, side, side, batch.mean.repeat(w)))

    return apply
