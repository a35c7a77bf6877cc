"""The ResNeXt family for small images, with attention or spatial pyramids in its branches."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from torch import nn

from ablation.build import near
from ablation.model._stages import batch_norm, blocks_per_stage
from ablation.model.act import activation
from ablation.model.attention import KINDS, SelectiveKernel
from ablation.model.attention import attention as attention_of
from ablation.model.block import Branch, Layers, joiner
from ablation.model.bottleneck import PostBottleneck
from ablation.model.resnet_cifar import ResNetCifar
from ablation.model.spp import check_kernels, end_in_pyramid
from ablation.model.stem import find_stem
from ablation.types import Drop, Join, Model

STEM = 64  # channels at width 1
OUT = 256  # of the first stage's blocks; 512 and 1024 follow
STAGES = 3


def _check(cardinality: int, base_width: int, width: float, attention: str | None) -> None:
    """Raise ValueError for an argument that is out of range."""
    if cardinality < 1:
        raise ValueError(f"cardinality: {cardinality} is less than one group")
    if base_width < 1:
        raise ValueError(f"base_width: {base_width} leaves a group no channel; use at least 1")
    if round(STEM * width) < 1:
        raise ValueError(f"width: {width} leaves no channel; use at least {1 / STEM}")
    if attention not in (None, "sk", *KINDS):
        raise ValueError(f"attention: there is no {attention!r}; {near(attention, ['sk', *KINDS])}, or null for none")


def resnext_cifar(
    classes: int,
    channels: int,
    size: int,
    depth: int = 29,
    cardinality: int = 8,
    base_width: int = 64,
    width: float = 1.0,
    attention: str | None = None,
    spp: Sequence[int] = (),
    stem: str = "3x3/1",
    shortcut: str = "1x1",
    act: str = "relu",
    slope: float | None = None,
    bn_momentum: float = 0.1,
    branches: int = 1,
    join: Join | None = None,
    drop: Drop | None = None,
) -> Model:
    """ResNeXt of 9n+2 layers for small images (Xie et al. 2016, 1611.05431, section 5.3).

    Stem of 64 channels, three stages of n bottlenecks with 256, 512 and 1024 channels at their ends, mean, linear. The
    3x3 convolution in the middle has `cardinality` groups of `base_width` channels in the first stage, of twice and
    four times as many in the next. 29 layers have 34.4 M parameters as 8x64d and 68.1 M as 16x64d, as published.
    `width` multiplies all channels, the stem's too, but not the number of groups. `stem`, `shortcut`, `branches` and
    `bn_momentum` are those of `resnet_cifar`. Weights start as PyTorch's layers do; see `init` for others.

    `attention` ends each branch before the sum: "se", "cbam" or "ge", with a reduction of 16 (see
    `ablation/model/attention.py` for their papers). "sk" (selective kernels, Li et al. 2019, 1903.06586) stands in
    place of the 3x3 convolution, its norm and its activation. `spp`: sides of the windows of a spatial pyramid pooling
    at the end of each branch, after any attention, such as [3,5,7]; [] is without (`ablation/model/spp.py`).

    Differs: the 2x64d of the CIFAR tricks README had a stem of 1x1 pixel. Its "sk" had a norm and activation more
    behind it, and none inside its softmax. Features: (N, 1024 width). "ge" has weights for every pixel: its network
    takes images of `size` px only.

    Raises:
        ValueError: an argument is out of range, or the images are too small for the stem.
    """
    n, norm = blocks_per_stage(depth, 9, 2), batch_norm(bn_momentum)
    _check(cardinality, base_width, width, attention)
    check_kernels(spp)
    found = find_stem(stem, size, deeper=4)
    selective = attention == "sk"
    attend = None if selective else attention_of(attention, norm)
    layers = Layers(norm, activation(act, slope), drop, shortcut, branches, attend)
    inside, side, blocks = round(STEM * width), found.side(size), list[nn.Module]()
    conv = found.conv(channels, inside, norm, layers.act)
    entry = nn.Sequential(conv, norm(inside), layers.act(), found.maxpool())
    for stage in range(STAGES):
        out = round(OUT * 2**stage * width)
        mid = cardinality * max(round(base_width * 2**stage * width), 1)
        for i in range(n):
            stride = 2 if stage > 0 and i == 0 else 1
            side = -(-side // stride)
            block = PostBottleneck(
                layers,
                inside,
                mid,
                out,
                stride,
                joiner(join, len(blocks) + 1, STAGES * n, branches),
                groups=cardinality,
                side=side,
                spatial=partial(SelectiveKernel, norm=norm, act=layers.act) if selective else None,
            )
            for branch in (m for m in block.modules() if spp and isinstance(m, Branch)):
                end_in_pyramid(branch, out, spp, norm)
            blocks.append(block)
            inside = out
    return ResNetCifar(entry, blocks, nn.Sequential(), nn.Linear(inside, classes))
