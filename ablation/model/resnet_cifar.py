"""The ResNet family for small images."""

from __future__ import annotations

from torch import Tensor, nn

from ablation.model._stages import batch_norm, blocks_per_stage
from ablation.model.act import activation
from ablation.model.block import Layers, PostBlock, PreBlock, joiner
from ablation.model.stem import find_stem
from ablation.types import Drop, Join, Model

BASE = 16  # channels of the first stage at width 1; 32 and 64 follow


class ResNetCifar(Model):
    """[Image norm], stem, blocks, tail (v2's last norm-act), mean over the map, linear head."""

    def __init__(
        self,
        stem: nn.Module,
        blocks: list[nn.Module],
        tail: nn.Module,
        head: nn.Linear,
        image_norm: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.image_norm = image_norm or nn.Identity()
        self.stem, self.blocks, self.tail, self.head = stem, nn.Sequential(*blocks), tail, head

    def features(self, x: Tensor) -> Tensor:
        """Normalised images (N, C, H, W) -> features (N, D), D the channels of the last stage."""
        maps: Tensor = self.tail(self.blocks(self.stem(self.image_norm(x))))
        return maps.mean((2, 3))


def _blocks(layers: Layers, widths: list[int], n: int, preact: bool, join: Join | None) -> list[nn.Module]:
    blocks: list[nn.Module] = []
    inside, total = widths[0], n * len(widths)
    for stage, out in enumerate(widths):
        for i in range(n):
            stride = 2 if stage > 0 and i == 0 else 1
            joined = joiner(join, len(blocks) + 1, total, layers.branches)
            if preact:
                blocks.append(PreBlock(layers, inside, out, stride, joined, start=i == 0))
            else:
                blocks.append(PostBlock(layers, inside, out, stride, joined))
            inside = out
    return blocks


def resnet_cifar(
    classes: int,
    channels: int,
    size: int,
    depth: int = 20,
    width: float = 1.0,
    preact: bool = False,
    stem: str = "3x3/1",
    shortcut: str = "pad",
    act: str = "relu",
    slope: float | None = None,
    bn_momentum: float = 0.1,
    branches: int = 1,
    image_norm: bool = False,
    join: Join | None = None,
    drop: Drop | None = None,
) -> Model:
    """ResNet of 6n+2 layers (He et al. 2015, 1512.03385, section 4.2) or its v2 (`preact`; He et al. 2016, 1603.05027).

    Stem, three stages of n basic blocks with 16, 32 and 64 channels, mean, linear. Images are `size` px wide and have
    `channels` channels; `width` multiplies all channels, the stem's too (in a Wide ResNet the stem stays at 16).
    The default shortcut is the paper's "pad": it alone has the published 0.27, 0.46, 0.66, 0.85 and 1.7 M parameters,
    and its identity brings no layer of its own into an ablation. `bn_momentum` is PyTorch's: the share of the new
    batch. `branches`: so many residual branches side by side in each block, for regularizers that mix them, such as
    Shake-Shake (Gastaldi 2017, 1705.07485); without one they are added. `image_norm`: a batch norm on the image before
    the stem, as the lab's notes had in v2. Weights start as PyTorch's layers do; see `init` for others.

    Raises:
        ValueError: an argument is out of range, or the images are too small for the stem.
    """
    n = blocks_per_stage(depth, 6, 2)
    widths = [round(BASE * 2**stage * width) for stage in range(3)]
    if widths[0] < 1:
        raise ValueError(f"width: {width} leaves no channel; use at least {1 / BASE}")
    found = find_stem(stem, size, deeper=4)
    layers = Layers(batch_norm(bn_momentum), activation(act, slope), drop, shortcut, branches)
    conv, pool = found.conv(channels, widths[0], layers.norm, layers.act), found.maxpool()
    if preact:  # v2 moves the stem's norm and activation to the very end
        entry, tail = nn.Sequential(conv, pool), nn.Sequential(layers.norm(widths[-1]), layers.act())
    else:
        entry, tail = nn.Sequential(conv, layers.norm(widths[0]), layers.act(), pool), nn.Sequential()
    blocks = _blocks(layers, widths, n, preact, join)
    image = layers.norm(channels) if image_norm else None
    return ResNetCifar(entry, blocks, tail, nn.Linear(widths[-1], classes), image)
