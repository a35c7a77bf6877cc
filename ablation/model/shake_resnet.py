"""The residual network of Shake-Shake."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ablation.model._stages import batch_norm, blocks_per_stage
from ablation.model.act import activation
from ablation.model.block import Block, Branch, Layers, conv3x3, joiner
from ablation.model.resnet_cifar import ResNetCifar
from ablation.model.stem import find_stem
from ablation.regularizer.shake_shake import shake_shake
from ablation.types import Drop, Join, Model

STEM = 16  # channels of the stem at any width


class Shifted(nn.Module):
    """Shortcut of two 1x1 convolutions side by side: one sees every stride-th pixel, the other the pixel before each.

    That is, above and to the left of it; outside the image lie zeros.
    """

    def __init__(self, layers: Layers, inside: int, out: int, stride: int) -> None:
        super().__init__()
        self.here = nn.Conv2d(inside, out // 2, 1, stride, bias=False)
        self.there = nn.Conv2d(inside, out - out // 2, 1, stride, bias=False)
        self.norm = layers.norm(out)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inside, H, W) -> (N, out, H / stride, W / stride)."""
        shifted = F.pad(x, (1, -1, 1, -1))
        out: Tensor = self.norm(torch.cat((self.here(x), self.there(shifted)), 1))
        return out


class ShakeBlock(Block):
    """Two branches act-conv-norm-act-[drop]-conv-norm, joined with x, or with `Shifted` of act(x) in a new shape."""

    def __init__(self, layers: Layers, inside: int, out: int, stride: int, join: nn.Module) -> None:
        super().__init__()
        self.act = layers.act()

        def branch() -> Branch:
            return Branch(
                conv1=conv3x3(inside, out, stride),
                norm1=layers.norm(out),
                act=layers.act(),
                drop=layers.dropping(),
                conv2=conv3x3(out, out),
                norm2=layers.norm(out),
            )

        self.first, self.second = branch(), branch()
        self.shortcut = None if (inside, stride) == (out, 1) else Shifted(layers, inside, out, stride)
        self.join = join

    def forward(self, x: Tensor) -> Tensor:
        """(N, inside, H, W) -> (N, out, H / stride, W / stride)."""
        active = self.act(x)  # where all three paths begin but the identity
        carried = self.shortcut(active) if self.shortcut else x
        out: Tensor = self.join(carried, self.first(active), self.second(active))
        return out


def shake_resnet(
    classes: int,
    channels: int,
    size: int,
    depth: int = 26,
    width: float = 32.0,
    stem: str = "3x3/1",
    act: str = "relu",
    slope: float | None = None,
    bn_momentum: float = 0.1,
    join: Join | None = None,
    drop: Drop | None = None,
) -> Model:
    """ResNet of two branches a block, which are mixed at random in training (Gastaldi 2017, 1705.07485).

    Stem of 16 channels without activation, three stages of n blocks with `width`, 2 `width` and 4 `width` channels in
    each branch, activation, mean, linear; depth 6n+2. "26 2x32d" of the paper is depth 26 and width 32. It has 2.9 M
    parameters, 2x64d 11.7 M, 2x96d 26.2 M and 2x112d 35.6 M. Branches begin with the activation, and the shortcut,
    where the shape changes, is two 1x1 convolutions of two grids of pixels.

    The blocks are joined by a regularizer if one joins blocks, else by `shake_shake` at its defaults, the paper's
    S-S-I: `regularizer=shake_shake` changes how they are mixed, and with forward and backward "even" they are averaged.
    Other regularizers take the two branches together: their sum.

    Images are `size` px wide and have `channels` channels; features are (N, 4 width). A width that is no whole number,
    as divided networks have, gives channels rounded to whole ones.

    Differs: weights start as PyTorch's layers do; the author's start as `init=kaiming`, and the linear bias at 0. The
    code behind the published rows shifts the second grid the other way and holds unused shortcuts in all other blocks,
    so that its 2x32d counts 2.99 M and its 2x64d 11.91 M parameters.

    Raises:
        ValueError: an argument is out of range, or the images are too small for the stem.
    """
    n = blocks_per_stage(depth, 6, 2)
    widths = [round(2**stage * width) for stage in range(3)]
    if widths[0] < 2:
        raise ValueError(f"width: {width} leaves no channel for the halves of a shortcut; use at least 2")
    found = find_stem(stem, size, deeper=4)
    layers = Layers(batch_norm(bn_momentum), activation(act, slope), drop, "", branches=2)
    conv = found.conv(channels, STEM, layers.norm, layers.act)
    blocks: list[nn.Module] = []
    inside = STEM
    for stage, out in enumerate(widths):
        for i in range(n):
            stride = 2 if stage > 0 and i == 0 else 1
            joined = joiner(join or shake_shake().join, len(blocks) + 1, 3 * n, layers.branches)
            blocks.append(ShakeBlock(layers, inside, out, stride, joined))
            inside = out
    entry = nn.Sequential(conv, layers.norm(STEM), found.maxpool())
    return ResNetCifar(entry, blocks, layers.act(), nn.Linear(inside, classes))
