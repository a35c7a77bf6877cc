"""What networks of three stages for small images have in common: how deep they can be, and their norm."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import nn


def blocks_per_stage(depth: int, step: int, rest: int) -> int:
    """The n of depth = step n + rest: so many blocks has each of the three stages.

    Raises:
        ValueError: there is no such n from 1 up.
    """
    n, over = divmod(depth - rest, step)
    if n < 1:
        raise ValueError(f"depth: {depth} is not {step}n+{rest}; the smallest is {step + rest}")
    if over:
        near = f"{step * n + rest} and {step * n + step + rest}"
        raise ValueError(f"depth: {depth} is not {step}n+{rest}; nearest are {near}")
    return n


def batch_norm(bn_momentum: float) -> Callable[[int], nn.Module]:
    """What makes batch norms for so many channels; `bn_momentum` is PyTorch's, the share of the new batch.

    Raises:
        ValueError: the share is none.
    """
    if not 0 < bn_momentum <= 1:
        raise ValueError(f"bn_momentum: {bn_momentum} is not in (0, 1]")
    return partial(nn.BatchNorm2d, momentum=bn_momentum)
