"""Factors that differ between the forward and the backward pass, and how finely they are drawn."""

from __future__ import annotations

from torch import Tensor

LEVELS = {"batch": 0, "image": 1, "channel": 2, "pixel": 4}  # how many axes of (N, C, H, W) have draws of their own


def extent(level: str, x: Tensor) -> list[int]:
    """The shape of the draws for x (N, C, H, W): one a batch, an image, a channel of an image, or an element."""
    own = LEVELS[level]
    return [*x.shape[:own], *[1] * (x.dim() - own)]


def scaled(x: Tensor, forward: Tensor, backward: Tensor) -> Tensor:
    """x times `forward`, whose gradient is that of x times `backward`. Where both are 1, x bit for bit."""
    forward, backward = forward.to(x.dtype), backward.to(x.dtype)
    return x * backward + x.detach() * (forward - backward)
