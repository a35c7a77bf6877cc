"""Orthogonal initialisation."""

from __future__ import annotations

from torch import nn

from ablation.init._layers import checked_gain, filled
from ablation.types import Init


def orthogonal(gain: float = 1.0, linear: bool = True) -> Init:
    """Convolutions, and with `linear` linear layers, start as gain times a random orthogonal matrix.

    Saxe et al. 2013 (1312.6120): every singular value is `gain`, so that depth neither shrinks nor blows up any
    direction of a linear network. A convolution is the matrix (out, in height width), of which the rows or the columns,
    whichever are fewer, are orthogonal; that does not make it orthogonal as a map of images. Biases of these layers
    start at zero. Each layer draws from its own name. Goes before `zero_gamma` in the list. For models on the CPU.

    Raises:
        ValueError: a bad gain; and when applied, the model has no such layer.
    """
    factor = checked_gain(gain)
    return filled(lambda weight, generator: nn.init.orthogonal_(weight, factor, generator), linear)
