"""Pad with zeros, crop at random, mirror at random: the standard view of CIFAR."""

from __future__ import annotations

from torch import Tensor

from ablation.data.view._crop import crop, padded
from ablation.key import Key
from ablation.types import View


def pad_crop_flip(pad: int) -> View:
    """Zero-pad by `pad` pixels, take a random window of the old size, flip it left to right with probability 0.5.

    Lin et al., "Network in Network" (2013); He et al. 2015, section 4.2.
    """

    def view(x: Tensor, key: Key) -> Tensor:
        return crop(padded(x, pad), key, x.shape[1], x.shape[2], flip=True)

    return view
