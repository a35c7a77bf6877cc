"""NASNet-A and PNASNet-5 for small images."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from timm.models.nasnet import FirstCell, NormalCell, ReductionCell0
from timm.models.pnasnet import Cell
from torch import Tensor, nn

from ablation.build import near
from ablation.model.block import conv3x3
from ablation.types import Model

STAGES = 3
SMALLEST = 4  # px; two reductions leave one


class NASNet(Model):
    """Stem, cells that are given the outputs of the two before them, ReLU, mean over the map, linear head."""

    def __init__(self, stem: nn.Module, cells: list[nn.Module], head: nn.Linear) -> None:
        super().__init__()
        self.stem, self.cells, self.head = stem, nn.ModuleList(cells), head
        self.act = nn.ReLU()

    def features(self, x: Tensor) -> Tensor:
        """Normalised images (N, C, H, W) -> features (N, 24 filters), or 20 of PNASNet-5."""
        before = last = self.stem(x)
        for cell in self.cells:
            before, last = last, cell(last, before)
        maps: Tensor = self.act(last)
        return maps.mean((2, 3))


class Swapped(nn.Module):
    """A PNASNet cell, called as NASNet's cells are: the last output first."""

    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, last: Tensor, before: Tensor) -> Tensor:
        """Outputs of the two cells before -> the next."""
        out: Tensor = self.cell(before, last)
        return out


def _nasnet_a(before: int, last: int, width: int, *, reduce: bool, match: bool) -> nn.Module:
    if reduce:
        return ReductionCell0(before, width, last, width)
    return FirstCell(before, width // 2, last, width) if match else NormalCell(before, width, last, width)


def _pnasnet_5(before: int, last: int, width: int, *, reduce: bool, match: bool) -> nn.Module:
    return Swapped(Cell(before, width, last, width, is_reduction=reduce, match_prev_layer_dims=match))


class Kind(NamedTuple):
    """A cell: how it is made, and how many times its filters a normal and a reduction cell put out."""

    make: Callable[..., nn.Module]
    normal: int
    reduction: int
    counted: bool  # the reduction is one of a stage's cells
    features: int  # by filters


KINDS = {"nasnet_a": Kind(_nasnet_a, 6, 4, False, 24), "pnasnet_5": Kind(_pnasnet_5, 5, 5, True, 20)}


def _cells(kind: Kind, stem: int, filters: int, number: int) -> list[nn.Module]:
    """`number` cells a stage; a reduction, which doubles the filters, begins each stage but the first.

    PNASNet counts it as one of them. What the cell after a reduction gets from before it is twice as large, and is
    made to match.
    """
    made: list[nn.Module] = []
    before = last = stem  # channels of the outputs of the two cells before
    for stage in range(STAGES):
        width = filters * 2**stage
        if stage:
            made.append(kind.make(before, last, width, reduce=True, match=False))
            before, last = last, kind.reduction * width
        for i in range(number - (kind.counted and stage > 0)):
            made.append(kind.make(before, last, width, reduce=False, match=stage > 0 and i == 0))
            before, last = last, kind.normal * width
    return made


def nasnet(
    classes: int, channels: int, size: int, cell: str = "nasnet_a", cells: int = 6, filters: int = 32, stem: int = 96
) -> Model:
    """NASNet-A (Zoph et al. 2017, 1707.07012) or PNASNet-5 (Liu et al. 2017, 1712.00559) as trained on CIFAR-10.

    The cells are timm's, put together here: conv3x3(`stem`) - BN; three stages of so many `cells` with `filters`
    filters, which double from stage to stage; a reduction cell between stages; ReLU, mean, linear. Each cell is given
    the outputs of the two before it. The default is NASNet-A (6 @ 768), where 768 = 24 `filters` are the features, with
    the paper's 3.3 M parameters. `cell` "pnasnet_5" has 20 `filters` features and counts a reduction as one of the
    stage's cells; with 3 cells, 48 filters and a stem of 144 it has the paper's 3.2 M (`model=pnasnet5`). Images are
    `size` px wide and have `channels` channels; 32 px become maps of 32, 16 and 8 px.

    Differs from the papers: no auxiliary head, no scheduled drop-path; the first cells project the stem to their
    filters on both sides. From what the published tables ran, NASNet-A (4 @ 1056) (`model=nasnet_4_1056`): theirs
    counts 5.1 M, of which about 0.9 M are in layers that no pass calls.

    Raises:
        ValueError: an argument is out of range, or the images are too small.
    """
    if cell not in KINDS:
        raise ValueError(f"cell: there is no {cell!r}; {near(cell, KINDS)}")
    kind = KINDS[cell]
    if cells < 1 + kind.counted:
        raise ValueError(f"cells: {cells} leaves a stage without a normal one; use at least {1 + kind.counted}")
    if filters < 1:
        raise ValueError(f"filters: {filters} leaves no channel; use at least 1")
    if stem < 1:
        raise ValueError(f"stem: {stem} leaves no channel; use at least 1")
    if size < SMALLEST:
        raise ValueError(f"size: NASNet needs images of at least {SMALLEST} px, these have {size}")
    entry = nn.Sequential(conv3x3(channels, stem), nn.BatchNorm2d(stem, eps=1e-3))
    head = nn.Linear(kind.features * filters, classes)
    return NASNet(entry, _cells(kind, stem, filters, cells), head)
