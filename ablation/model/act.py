"""The non-linearity between layers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import nn

from ablation.build import near


def activation(act: str, slope: float | None) -> Callable[[], nn.Module]:
    """What makes "relu", "leaky_relu" (of this negative slope, 0.01 if None), or "silu" (1710.05941) layers.

    None works in place: a join may hand over a tensor that something else still needs.

    Raises:
        ValueError: there is no such activation, or a slope is given to one that has none.
    """
    acts: dict[str, Callable[[], nn.Module]] = {
        "relu": nn.ReLU,
        "leaky_relu": partial(nn.LeakyReLU, 0.01 if slope is None else slope),
        "silu": nn.SiLU,
    }
    if act not in acts:
        raise ValueError(f"act: there is no {act!r}; {near(act, acts)}")
    if slope is not None and act != "leaky_relu":
        raise ValueError(f"slope: {act} has none; leave it null or choose act=leaky_relu")
    return acts[act]
