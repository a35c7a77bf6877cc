"""Weights of layers filled by a rule, each from its own name."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ablation.key import Key
from ablation.types import Init


def filled(draw: Callable[[Tensor, torch.Generator], object], linear: bool) -> Init:
    """Convolutions, and with `linear` linear layers, have their weights drawn in place; their biases start at zero.

    Each layer draws from its own name, so that more or fewer layers do not change the others'. For models on the CPU.
    When applied, it raises `ValueError` if the model has no such layer.
    """
    kinds = (nn.Conv2d, nn.Linear) if linear else (nn.Conv2d,)

    def init(model: nn.Module, key: Key) -> None:
        layers = [(name, layer) for name, layer in model.named_modules() if isinstance(layer, kinds)]
        if not layers:
            raise ValueError("this model has no such layers; leave it out")
        for name, layer in layers:
            draw(layer.weight, key.fold(name).generator())
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

    return init


def checked_gain(gain: float) -> float:
    """A factor on all weights.

    Raises:
        ValueError: not a finite number above 0.
    """
    if not 0 < gain < float("inf"):
        raise ValueError(f"gain: {gain} is not a finite number above 0; for ReLU the square root of 2, for others 1")
    return gain
