"""Kaiming initialisation."""

from __future__ import annotations

from torch import nn

from ablation.build import near
from ablation.init._layers import filled
from ablation.types import Init

MODES = ("fan_in", "fan_out")


def kaiming(mode: str = "fan_out", a: float = 0.0, nonlinearity: str = "leaky_relu", linear: bool = False) -> Init:
    """Convolutions, and with `linear` linear layers, start normal with std gain/sqrt(fan) (He et al. 2015, 1502.01852).

    The gain is PyTorch's: sqrt(2/(1 + a^2)) for "leaky_relu" of negative slope `a`, sqrt(2) for "relu", 1 for "linear".
    "fan_in" keeps the variance of activations and "fan_out" that of gradients. Biases of these layers start at zero.
    Each layer draws from its own name, so that more or fewer layers do not change the others'. Goes before
    `zero_gamma` in the list, else it would fill again the convolutions that one has zeroed. For models on the CPU.

    Raises:
        ValueError: there is no such mode or nonlinearity; and when applied, the model has no such layer.
    """
    if mode not in MODES:
        raise ValueError(f"mode: there is no {mode!r}; {near(mode, MODES)}")
    try:
        nn.init.calculate_gain(nonlinearity, a)  # type: ignore[arg-type]  # refuses what PyTorch does not know
    except ValueError as e:
        raise ValueError(f"nonlinearity: {e}") from e
    return filled(
        lambda weight, generator: nn.init.kaiming_normal_(weight, a, mode, nonlinearity, generator),  # type: ignore[arg-type]
        linear,
    )
