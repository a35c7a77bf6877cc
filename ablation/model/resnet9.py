"""The ResNet-9 that trains CIFAR-10 fast."""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

from ablation.model.block import Block, Branch, Layers, conv3x3, joiner
from ablation.types import Drop, Join, Model

SMALLEST = 8  # px; three poolings leave one
BLOCKS = 2


def _layer(layers: Layers, inside: int, out: int, *, pool: bool) -> nn.Sequential:
    return nn.Sequential(
        conv3x3(inside, out), layers.norm(out), layers.act(), nn.MaxPool2d(2) if pool else nn.Identity()
    )


class Residual(Block):
    """join(x, conv-norm-act-[drop]-conv-norm-act): nothing follows the sum."""

    def __init__(self, layers: Layers, width: int, join: nn.Module) -> None:
        super().__init__()
        self.branch = Branch(
            conv1=conv3x3(width, width), norm1=layers.norm(width), act1=layers.act(), drop=layers.dropping(),
            conv2=conv3x3(width, width), norm2=layers.norm(width), act2=layers.act(),
        )  # fmt: skip
        self.join = join

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, H, W) -> the same shape."""
        out: Tensor = self.join(x, self.branch(x))
        return out


class ResNet9(Model):
    """Layers, maximum over the map, factor, linear head."""

    def __init__(self, blocks: nn.Sequential, pool: nn.Module, factor: float, head: nn.Linear) -> None:
        super().__init__()
        self.blocks, self.pool, self.factor, self.head = blocks, pool, factor, head

    def features(self, x: Tensor) -> Tensor:
        """Normalised images (N, C, H, W) -> features (N, 8 width)."""
        maps: Tensor = self.pool(self.blocks(x))
        return maps.flatten(1) * self.factor


def resnet9(
    classes: int,
    channels: int,
    size: int,
    width: float = 64,
    factor: float = 0.125,
    bn_momentum: float = 0.1,
    join: Join | None = None,
    drop: Drop | None = None,
) -> Model:
    """ResNet-9 (Page 2018, myrtle.ai, "How to train your ResNet"; no paper), of the DAWNBench entries of 2018.

    Layers are conv3x3-BN-ReLU: one of `width` channels (rounded), then three with twice the channels of the last and a
    2x2 max-pool; after the first and the third of these a residual block of two layers. Maximum over the map, a linear
    head without bias, logits times `factor`. 6.57 M parameters at width 64 for 3 channels and 10 classes: the source
    says 6.6 M. Images are `size` px wide and have `channels` channels; 32 px leave 4 px maps.

    Differs: the factor, which has no effect on what follows, is applied to the features. What belongs to its training
    (half precision, Nesterov, a triangular rate, label smoothing, cutout) is not in the network: see `recipe=fast`.

    Raises:
        ValueError: an argument is out of range, or the images are too small.
    """
    base = round(width)
    if base < 1:
        raise ValueError(f"width: {width} leaves no channel; use at least 1")
    if factor <= 0:
        raise ValueError(f"factor: {factor} is not above 0; 0.125 is the source's")
    if not 0 < bn_momentum <= 1:
        raise ValueError(f"bn_momentum: {bn_momentum} is not in (0, 1]")
    if size < SMALLEST:
        raise ValueError(f"size: ResNet-9 needs images of at least {SMALLEST} px, these have {size}")
    layers = Layers(partial(nn.BatchNorm2d, momentum=bn_momentum), nn.ReLU, drop, "pad")
    blocks = nn.Sequential(
        _layer(layers, channels, base, pool=False),
        _layer(layers, base, 2 * base, pool=True),
        Residual(layers, 2 * base, joiner(join, 1, BLOCKS, 1)),
        _layer(layers, 2 * base, 4 * base, pool=True),
        _layer(layers, 4 * base, 8 * base, pool=True),
        Residual(layers, 8 * base, joiner(join, 2, BLOCKS, 1)),
    )
    head = nn.Linear(8 * base, classes, bias=False)
    return ResNet9(blocks, nn.MaxPool2d(size // 8), factor, head)
