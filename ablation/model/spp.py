"""Spatial pyramid pooling at the end of a residual branch: maxima over windows of several sizes, side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ablation.model.block import Branch


class Pyramid(nn.Module):
    """Maps, and their maxima over windows of these sizes around each place."""

    def __init__(self, kernels: Sequence[int]) -> None:
        super().__init__()
        self.kernels = tuple(kernels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, (1 + kernels) C, H, W)."""
        return torch.cat([x, *(F.max_pool2d(x, k, 1, k // 2) for k in self.kernels)], 1)


def check_kernels(kernels: Sequence[int]) -> None:
    """Refuse what cannot be windows around a place.

    Raises:
        ValueError: not a list of different odd numbers above 1.
    """
    way = "give different odd numbers from 3 on, such as [3,5,7], or [] for none"
    if isinstance(kernels, str) or not isinstance(kernels, Sequence):
        raise ValueError(f"spp: {kernels!r} is not a list; {way}")
    for kernel in kernels:
        if type(kernel) is not int or kernel < 3 or kernel % 2 == 0:
            raise ValueError(f"spp: {kernel!r} is not the side of a window around a pixel; {way}")
    if len(set(kernels)) < len(kernels):
        raise ValueError(f"spp: {list(kernels)} has a window twice; {way}")


def end_in_pyramid(branch: Branch, channels: int, kernels: Sequence[int], norm: Callable[[int], nn.Module]) -> None:
    """Append spatial pyramid pooling (He et al. 2014, 1406.4729), in YOLO's form, to a branch with so many channels.

    1x1 convolution to half of them, pyramid, 1x1 convolution back; a norm and SiLU follow each. The layers become the
    branch's own, so that `init.zero_gamma` finds the norm that ends it: SiLU of 0 is 0.
    """
    half = max(channels // 2, 1)
    layers = {
        "spp_conv1": nn.Conv2d(channels, half, 1, bias=False),
        "spp_norm1": norm(half),
        "spp_act1": nn.SiLU(),
        "spp_pools": Pyramid(kernels),
        "spp_conv2": nn.Conv2d(half * (1 + len(kernels)), channels, 1, bias=False),
        "spp_norm2": norm(channels),
        "spp_act2": nn.SiLU(),
    }
    for name, layer in layers.items():
        branch.add_module(name, layer)
