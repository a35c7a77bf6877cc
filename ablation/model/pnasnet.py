"""The small PNASNets of the published tables."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ablation.build import near
from ablation.model.block import conv3x3
from ablation.types import Model

STAGES = 3
SMALLEST = 4  # px; two reductions leave one


def _conv(inside: int, out: int, kernel: int, stride: int, groups: int) -> nn.Sequential:
    conv = nn.Conv2d(inside, out, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out))


def _pool(inside: int, out: int, stride: int) -> nn.Sequential:
    """3x3 max-pool; where the cell halves the map and doubles the channels, a 1x1 convolution follows."""
    pool = nn.MaxPool2d(3, stride, 1)
    return nn.Sequential(pool) if stride == 1 else nn.Sequential(pool, *_conv(inside, out, 1, 1, 1))


class CellA(nn.Module):
    """relu(depthwise 7x7 + max-pool)."""

    def __init__(self, inside: int, out: int, stride: int) -> None:
        super().__init__()
        self.conv7, self.pool = _conv(inside, out, 7, stride, inside), _pool(inside, out, stride)
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """(N, inside, H, W) -> (N, out, H / stride, W / stride)."""
        out: Tensor = self.act(self.conv7(x) + self.pool(x))
        return out


class CellB(nn.Module):
    """relu(depthwise 7x7 + depthwise 3x3) and relu(depthwise 5x5 + max-pool), mixed by a 1x1 convolution."""

    def __init__(self, inside: int, out: int, stride: int) -> None:
        super().__init__()
        self.conv7, self.conv3, self.conv5 = (_conv(inside, out, k, stride, inside) for k in (7, 3, 5))
        self.pool, self.mix = _pool(inside, out, stride), _conv(2 * out, out, 1, 1, 1)
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """(N, inside, H, W) -> (N, out, H / stride, W / stride)."""
        first, second = self.act(self.conv7(x) + self.conv3(x)), self.act(self.conv5(x) + self.pool(x))
        out: Tensor = self.act(self.mix(torch.cat([first, second], 1)))
        return out


CELLS = {"a": CellA, "b": CellB}


class PNASNet(Model):
    """Stem, cells, mean over the map, linear head."""

    def __init__(self, stem: nn.Module, cells: list[nn.Module], head: nn.Linear) -> None:
        super().__init__()
        self.stem, self.cells, self.head = stem, nn.Sequential(*cells), head

    def features(self, x: Tensor) -> Tensor:
        """Normalised images (N, C, H, W) -> features (N, 4 width)."""
        maps: Tensor = self.cells(self.stem(x))
        return maps.mean((2, 3))


def pnasnet(classes: int, channels: int, size: int, cell: str = "b", cells: int = 6, width: float = 32) -> Model:
    """PNASNet-A or -B of the CIFAR tricks' table 3.3: cells of one and of two sums, after Liu et al. 2017, 1712.00559.

    conv3x3(`width`, rounded) - BN - ReLU; three stages of so many `cells`, each stage but the first begun by one more
    that halves the map and doubles the channels; mean, linear. "b": 0.45 M parameters at width 32 for 3 channels and 10
    classes, as the tables' network has; "a": one sum a cell, 0.13 M at width 44 by this count. Images are `size` px
    wide and have `channels` channels; 32 px become maps of 32, 16 and 8 px.

    Differs from the paper: its cells have five sums and two inputs, and its convolutions are separable, here depthwise.
    The paper's own network is `model=pnasnet5`.

    Raises:
        ValueError: an argument is out of range, or the images are too small.
    """
    if cell not in CELLS:
        raise ValueError(f"cell: there is no {cell!r}; {near(cell, CELLS)}")
    if cells < 1:
        raise ValueError(f"cells: {cells} is less than one a stage; the tables' network has 6")
    base = round(width)
    if base < 1:
        raise ValueError(f"width: {width} leaves no channel; use at least 1")
    if size < SMALLEST:
        raise ValueError(f"size: PNASNet needs images of at least {SMALLEST} px, these have {size}")
    stem = nn.Sequential(conv3x3(channels, base), nn.BatchNorm2d(base), nn.ReLU())
    made: list[nn.Module] = []
    for stage in range(STAGES):
        out = base * 2**stage
        if stage:
            made.append(CELLS[cell](out // 2, out, 2))
        made += [CELLS[cell](out, out, 1) for _ in range(cells)]
    return PNASNet(stem, made, nn.Linear(4 * base, classes))
