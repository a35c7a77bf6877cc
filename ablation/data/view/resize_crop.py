"""Enlarge and crop at random, without mirroring: for images whose mirror image is something else."""

from __future__ import annotations

from torch import Tensor

from ablation.data.view._crop import crop, enlarged
from ablation.key import Key
from ablation.types import View


def resize_crop(pad: int) -> View:
    """Enlarge by `pad` pixels in height and width (bilinear), take a random window of the old size.

    The windows of `resize_crop_flip` for a key.
    """

    def view(x: Tensor, key: Key) -> Tensor:
        return crop(enlarged(x, pad), key, x.shape[1], x.shape[2], flip=False)

    return view
