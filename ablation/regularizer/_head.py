"""Sizes of a model's head."""

from __future__ import annotations

from torch import nn

from ablation.types import Model


def linears(model: Model) -> tuple[nn.Linear, nn.Linear]:
    """The first and the last linear layer of the head, perhaps one: D features go in, K logits come out.

    Raises:
        ValueError: the head has none.
    """
    found = [layer for layer in model.head.modules() if isinstance(layer, nn.Linear)]
    if not found:
        raise ValueError(f"model: the head of {type(model).__name__} has no linear layer to read its size from")
    return found[0], found[-1]
