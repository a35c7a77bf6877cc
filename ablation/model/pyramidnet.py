"""Pyramidal residual networks."""

from __future__ import annotations

import math

from torch import Tensor, nn

from ablation.model._stages import batch_norm, blocks_per_stage
from ablation.model.act import activation
from ablation.model.block import Block, Branch, Layers, conv3x3, plain
from ablation.model.resnet_cifar import ResNetCifar
from ablation.model.shortcut import Pad
from ablation.model.stem import find_stem
from ablation.types import Drop, Join, Model

STEM = 16  # channels before the first block
EXPANSION = 4  # of a bottleneck's channels, to what it gives out


class PyramidBlock(Block):
    """join(shortcut, norm-conv-norm-act-[drop]-conv-norm): no first activation, and a norm at the end.

    With `bottleneck` three convolutions, 1x1, 3x3 and 1x1, where `width` is between the two 1x1. The shortcut has no
    parameters: zeros for new channels, and the mean of 2x2 pixels where there is a stride.
    """

    def __init__(
        self, layers: Layers, inside: int, width: int, stride: int, join: nn.Module, *, bottleneck: bool
    ) -> None:
        super().__init__()
        out = width * EXPANSION if bottleneck else width
        middle: dict[str, nn.Module] = {}
        if bottleneck:
            middle = {"conv2": conv3x3(width, width, stride), "norm2": layers.norm(width), "act2": layers.act()}
        self.branch = Branch(
            norm0=layers.norm(inside),
            conv1=nn.Conv2d(inside, width, 1, bias=False) if bottleneck else conv3x3(inside, width, stride),
            norm1=layers.norm(width),
            act1=layers.act(),
            **middle,
            drop=layers.dropping(),
            conv3=nn.Conv2d(width, out, 1, bias=False) if bottleneck else conv3x3(width, out),
            norm3=layers.norm(out),
        )
        # The last pixel of an odd side is averaged by itself.
        pool = nn.AvgPool2d(2, stride, ceil_mode=True) if stride > 1 else nn.Identity()
        self.shortcut = nn.Sequential(pool, Pad(out - inside, 1) if out > inside else nn.Identity())
        self.join = join

    def forward(self, x: Tensor) -> Tensor:
        """(N, inside, H, W) -> (N, out, H / stride, W / stride)."""
        out: Tensor = self.join(self.shortcut(x), self.branch(x))
        return out


def _joined(join: Join | None, block: int, blocks: int) -> nn.Module:
    """What joins the branch of this block (from 1).

    Raises:
        ValueError: it joins more branches than one.
    """
    joined = (join or plain)(block, blocks)
    needed = getattr(joined, "branches", 1)
    if needed != 1:
        kind = type(joined).__name__
        raise ValueError(f"join: {kind} joins {needed} branches, here is one; use model=shake_resnet or shake_drop")
    return joined


def pyramidnet(
    classes: int,
    channels: int,
    size: int,
    depth: int = 110,
    alpha: float = 270.0,
    bottleneck: bool = False,
    width: float = 1.0,
    stem: str = "3x3/1",
    act: str = "relu",
    slope: float | None = None,
    bn_momentum: float = 0.1,
    join: Join | None = None,
    drop: Drop | None = None,
) -> Model:
    """PyramidNet, additive: every block has a few more channels than the last (Han et al. 2016, 1610.02915).

    Block k of N has D_k = 16 + `alpha` k/N channels, rounded, four times as many come out of a `bottleneck`; stem of 16
    channels without activation, three stages of N/3 blocks, norm-act, mean, linear. Depth is 6n+2, 9n+2 with
    bottlenecks. By default the 110 layers of alpha 270, 28.5 M parameters, which ShakeDrop was published with
    (1802.02375); alpha 84 has 3.9 M and 48 has 1.8 M. 272 layers in bottlenecks with alpha 200 have 26.2 M.
    ShakeDrop comes by `regularizer=shake_drop`.

    `width` multiplies alpha, as divided networks have it. Images are `size` px wide and have `channels` channels;
    features are (N, 16 + alpha), with bottlenecks (N, 4 (16 + alpha)).

    Differs: the paper prints 28.3, 3.8, 1.7 and, without norms, 26.0 M parameters; pytorchcv has those named here.
    Weights start as PyTorch's layers do; the authors' start as `init=kaiming`.

    Raises:
        ValueError: an argument is out of range, or the images are too small for the stem.
    """
    n = blocks_per_stage(depth, 9 if bottleneck else 6, 2)
    for name, value in (("alpha", alpha), ("width", width)):
        if not 0 <= value < math.inf:
            raise ValueError(f"{name}: {value} is not a finite number from 0 up")
    found = find_stem(stem, size, deeper=4)
    layers = Layers(batch_norm(bn_momentum), activation(act, slope), drop, "pad")
    conv = found.conv(channels, STEM, layers.norm, layers.act)
    blocks: list[nn.Module] = []
    inside = STEM
    for k in range(1, 3 * n + 1):
        mid = math.floor(STEM + alpha * width * k / (3 * n) + 0.5)
        stride = 2 if k in (n + 1, 2 * n + 1) else 1
        joined = _joined(join, k, 3 * n)
        blocks.append(PyramidBlock(layers, inside, mid, stride, joined, bottleneck=bottleneck))
        inside = mid * EXPANSION if bottleneck else mid
    entry = nn.Sequential(conv, layers.norm(STEM), found.maxpool())
    tail = nn.Sequential(layers.norm(inside), layers.act())
    return ResNetCifar(entry, blocks, tail, nn.Linear(inside, classes))
