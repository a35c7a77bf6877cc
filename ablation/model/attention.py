"""Layers that weigh feature maps by what is in them, for the end of a residual branch, before the sum."""

from __future__ import annotations

from collections.abc import Callable

import torch
from timm.layers.cbam import CbamModule
from timm.layers.selective_kernel import SelectiveKernelAttn
from timm.layers.squeeze_excite import SqueezeExcite
from torch import Tensor, nn

from ablation.build import near
from ablation.model.block import Attend

Norm = Callable[[int], nn.Module]  # channels -> layer
REDUCTION = 16  # channels per hidden unit, as in all three papers


def squeeze_excite(channels: int, side: int, norm: Norm) -> nn.Module:
    """Channels times sigmoid(linear-ReLU-linear of their means) (Hu et al. 2017, 1709.01507). timm's layer.

    It has no norm. The hidden width is channels / 16 to the next integer, where timm by itself rounds up to eights.
    """
    layer: nn.Module = SqueezeExcite(channels, rd_ratio=1 / REDUCTION, rd_divisor=1)
    return layer


def cbam(channels: int, side: int, norm: Norm) -> nn.Module:
    """Channels, then places, weighed by their means and maxima (Woo et al. 2018, 1807.06521). timm's layer.

    Channels by one linear-ReLU-linear for both, places by a 7x7 convolution of the two maps and a norm. The biases and
    the norm are in the authors' code, not in the paper's formulas.
    """
    layer: nn.Module = CbamModule(channels, rd_ratio=1 / REDUCTION, mlp_bias=True)
    layer.get_submodule("spatial.conv").bn = norm(1)
    return layer


class WholeMap(nn.Conv2d):
    """A depthwise convolution whose kernel is as large as the map, as the weighted sum that it is."""

    def __init__(self, channels: int, side: int) -> None:
        super().__init__(channels, channels, side, groups=channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, side, side) -> (N, C, 1, 1)."""
        if x.shape[-2:] != self.kernel_size:
            raise ValueError(f"size: this network was made for maps of {self.kernel_size} px here, not {x.shape[-2:]}")
        return (x * self.weight[:, 0]).sum((2, 3), keepdim=True)


class GatherExcite(nn.Module):
    """Channels times sigmoid(MLP of gathered maps), of global extent (Hu et al. 2018, 1810.12348: GE-theta+).

    Gathered by a learnt weight for each place of each channel (depthwise, the kernel is the map) and a norm; the MLP is
    squeeze-and-excitation's without biases. The layer fits maps of one size only.
    """

    def __init__(self, channels: int, side: int, norm: Norm) -> None:
        super().__init__()
        hidden = max(1, channels // REDUCTION)
        self.gather = nn.Sequential(WholeMap(channels, side), norm(channels))
        self.excite = nn.Sequential(
            nn.Conv2d(channels, hidden, 1, bias=False), nn.ReLU(), nn.Conv2d(hidden, channels, 1, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, side, side) -> the same shape."""
        out: Tensor = x * self.excite(self.gather(x)).sigmoid()
        return out


class SelectiveKernel(nn.Module):
    """In place of a convolution with norm and activation: a 1x1 and a 3x3 one, and a softmax between them per channel.

    Li et al. 2019, 1903.06586. The softmax is of linear-norm-ReLU-linear of the means of their sum; timm's layer. On
    ImageNet the paper's kernels are 3 and 5. 1 and 3, and a hidden width of channels / 32 but at least 32, are from the
    code of the CIFAR tricks README, whose norm and activation behind the sum, and biases, are left out.
    """

    def __init__(
        self,
        channels: int,
        stride: int,
        groups: int,
        norm: Norm,
        act: Callable[[], nn.Module],
        kernels: tuple[int, ...] = (1, 3),
    ) -> None:
        super().__init__()
        self.paths = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(channels, channels, k, stride, k // 2, groups=groups, bias=False), norm(channels), act()
            )
            for k in kernels
        )
        hidden = max(channels // 32, 32)
        self.select = SelectiveKernelAttn(channels, len(kernels), hidden)
        self.select.bn = norm(hidden)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H / stride, W / stride)."""
        maps = [path(x) for path in self.paths]
        # The mean of the sum is the sum of the means: it is enough to show the layer those.
        means = torch.stack([m.mean((2, 3), keepdim=True) for m in maps], 1)
        out: Tensor = sum(w * m for w, m in zip(self.select(means).unbind(1), maps, strict=True))
        return out


KINDS: dict[str, Callable[[int, int, Norm], nn.Module]] = {
    "se": squeeze_excite,
    "cbam": cbam,
    "ge": GatherExcite,
}


def attention(kind: str | None, norm: Norm = nn.BatchNorm2d) -> Attend | None:
    """What makes the layers "se", "cbam" or "ge" of (channels, side of the maps in px); None: nothing does.

    `norm` makes the norms inside of "cbam" and "ge".

    Raises:
        ValueError: there is no such kind.
    """
    if kind is None:
        return None
    if kind not in KINDS:
        raise ValueError(f"attention: there is no {kind!r}; {near(kind, KINDS)}, or null for none")
    make = KINDS[kind]
    return lambda channels, side: make(channels, side, norm)
