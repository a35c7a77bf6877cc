"""Xavier initialisation."""

from __future__ import annotations

from torch import nn

from ablation.build import near
from ablation.init._layers import checked_gain, filled
from ablation.types import Init

DISTRIBUTIONS = {"uniform": nn.init.xavier_uniform_, "normal": nn.init.xavier_normal_}


def xavier(distribution: str = "uniform", gain: float = 1.0, linear: bool = True) -> Init:
    """Convolutions, and with `linear` linear layers, start with the variance gain^2 2/(fan_in + fan_out).

    Glorot & Bengio 2010 (AISTATS), a compromise of what keeps the variance of activations and that of gradients; made
    for symmetric activations, where `gain` is 1. "uniform" is in [-a, a] with a = gain sqrt(6/(fan_in + fan_out)), as
    in the baseline of He et al. 2018 (1812.01187), which starts linear layers so too. Biases of these layers start at
    zero. Each layer draws from its own name. Goes before `zero_gamma` in the list. For models on the CPU.

    Raises:
        ValueError: there is no such distribution, or a bad gain; and when applied, the model has no such layer.
    """
    if distribution not in DISTRIBUTIONS:
        raise ValueError(f"distribution: there is no {distribution!r}; {near(distribution, DISTRIBUTIONS)}")
    draw, factor = DISTRIBUTIONS[distribution], checked_gain(gain)
    return filled(lambda weight, generator: draw(weight, factor, generator), linear)
