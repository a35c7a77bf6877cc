"""What becomes of the buffers when weights are averaged."""

from __future__ import annotations

import torch

from ablation.build import near
from ablation.types import Tensors

BUFFERS = ("average", "copy", "reestimate")
_STATISTICS = ("running_mean", "running_var")


def check_buffers(buffers: str) -> None:
    """Refuse another word.

    Raises:
        ValueError: it is none of these.
    """
    if buffers not in BUFFERS:
        raise ValueError(f"buffers: there is no {buffers!r}; {near(buffers, BUFFERS)}")


def weight_names(state: Tensors) -> list[str]:
    """All but counts and running statistics."""
    return [name for name, w in state.items() if w.is_floating_point() and not name.endswith(_STATISTICS)]


def averaged_names(state: Tensors, buffers: str) -> list[str]:
    """What is averaged: never counts, and running statistics if `buffers` is "average"."""
    return [name for name, w in state.items() if w.is_floating_point()] if buffers == "average" else weight_names(state)


def mix(state: Tensors, weights: Tensors, averaged: list[str], share: float) -> None:
    """state += share (weights - state) for those averaged, in place; the others are copied. A share of 1 copies all."""
    # With a weight of 1, lerp gives its end bit for bit.
    torch._foreach_lerp_([state[n] for n in averaged], [weights[n] for n in averaged], share)
    copied = sorted(state.keys() - set(averaged))
    if copied:
        torch._foreach_copy_([state[n] for n in copied], [weights[n] for n in copied])
