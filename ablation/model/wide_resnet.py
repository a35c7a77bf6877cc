"""Wide residual networks."""

from __future__ import annotations

from torch import nn

from ablation.model._stages import batch_norm, blocks_per_stage
from ablation.model.act import activation
from ablation.model.block import Layers, PreBlock, joiner
from ablation.model.resnet_cifar import ResNetCifar
from ablation.model.stem import find_stem
from ablation.types import Drop, Join, Model

STEM = 16  # channels of the stem at any width


def wide_resnet(
    classes: int,
    channels: int,
    size: int,
    depth: int = 28,
    width: float = 10.0,
    stem: str = "3x3/1",
    shortcut: str = "1x1",
    act: str = "relu",
    slope: float | None = None,
    bn_momentum: float = 0.1,
    branches: int = 1,
    join: Join | None = None,
    drop: Drop | None = None,
) -> Model:
    """WRN-d-k: few layers with many channels (Zagoruyko and Komodakis 2016, 1605.07146).

    Stem of 16 channels, three stages of n basic blocks v2 with 16 k, 32 k and 64 k channels, norm-act, mean, linear:
    depth 6n+4 = d, of which three layers are the 1x1 shortcuts, and width k. 28-10 has the paper's 36.5 M parameters,
    16-8 11.0 M, 40-2 2.2 M and 28-2 1.5 M. Where the shape changes, the shortcut too begins after norm-act. The
    paper's dropout, between the two convolutions of a block, is `regularizer=dropout` with p 0.3.

    Images are `size` px wide and have `channels` channels; features are (N, 64 k). A width that is no whole number, as
    divided networks have, gives channels rounded to whole ones. `branches` and `bn_momentum` are as in `resnet_cifar`.

    Differs: weights start as PyTorch's layers do; the authors' start as `init=kaiming`.

    Raises:
        ValueError: an argument is out of range, or the images are too small for the stem.
    """
    n = blocks_per_stage(depth, 6, 4)
    widths = [round(STEM * 2**stage * width) for stage in range(3)]
    if widths[0] < 1:
        raise ValueError(f"width: {width} leaves no channel; use at least {1 / STEM}")
    if shortcut == "pad" and widths[0] < STEM:
        raise ValueError(f"width: {width} is below 1, where a shortcut that pads would cut channels; use shortcut=1x1")
    found = find_stem(stem, size, deeper=4)
    layers = Layers(batch_norm(bn_momentum), activation(act, slope), drop, shortcut, branches)
    entry = nn.Sequential(found.conv(channels, STEM, layers.norm, layers.act), found.maxpool())
    blocks: list[nn.Module] = []
    inside = STEM
    for stage, out in enumerate(widths):
        for i in range(n):
            stride = 2 if stage > 0 and i == 0 else 1
            joined = joiner(join, len(blocks) + 1, 3 * n, branches)
            blocks.append(PreBlock(layers, inside, out, stride, joined, start=(inside, stride) != (out, 1)))
            inside = out
    tail = nn.Sequential(layers.norm(inside), layers.act())
    return ResNetCifar(entry, blocks, tail, nn.Linear(inside, classes))
