"""Pad with zeros and crop at random, without mirroring: for images whose mirror image is something else."""

from __future__ import annotations

from torch import Tensor

from ablation.data.view._crop import crop, padded
from ablation.key import Key
from ablation.types import View


def pad_crop(pad: int) -> View:
    """Zero-pad by `pad` pixels and take a random window of the old size; the windows of `pad_crop_flip` for a key."""

    def view(x: Tensor, key: Key) -> Tensor:
        return crop(padded(x, pad), key, x.shape[1], x.shape[2], flip=False)

    return view
