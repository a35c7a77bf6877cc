import math
import random
from typing import NamedTuple

import pytest
import torch
from scipy import stats
from torch import Tensor
from torchvision.transforms import v2

from ablation.aug.random_erasing import random_erasing
from ablation.key import Key
from ablation.types import Batch

N, SIDE = 3000, 32


class Boxes(NamedTuple):
    """One number a rectangle, in pixels."""

    top: Tensor
    left: Tensor
    height: Tensor
    width: Tensor


def blank(n: int = N) -> Batch:
    # 0.123 is no multiple of 1/255, so a pixel that differs was erased.
    x = torch.full((n, 3, SIDE, SIDE), 0.123).contiguous(memory_format=torch.channels_last)
    return Batch(x, torch.eye(n, 2), torch.tensor(0.0), torch.tensor([0.4, 0.5, 0.6]))


def boxes(x: Tensor) -> Boxes:
    """The rectangles painted into blank images; checks that they are rectangles."""
    mask = (x != 0.123).all(1)
    mask = mask[mask.any(2).any(1)]
    rows, columns = mask.any(2), mask.any(1)
    assert torch.equal(mask, rows[:, :, None] & columns[:, None, :])
    found = Boxes(rows.int().argmax(1), columns.int().argmax(1), rows.sum(1), columns.sum(1))
    assert torch.equal(mask.sum((1, 2)), found.height * found.width)
    return found


def same_law(one: Tensor, other: Tensor) -> None:
    """Chi-square of two samples of whole numbers, in eight bins."""
    edges = torch.quantile(torch.cat([one, other]).double(), torch.linspace(0, 1, 9).double()).unique()[1:-1]
    table = [
        torch.bincount(torch.bucketize(s.double(), edges), minlength=len(edges) + 1).tolist() for s in (one, other)
    ]
    used = [column for column in zip(*table, strict=True) if sum(column)]
    assert stats.chi2_contingency(used).pvalue > 1e-4


def test_squares_have_torchvisions_law() -> None:
    """With an aspect of 1 the two definitions agree: torchvision draws its logarithm."""
    ours = boxes(random_erasing(p=1.0, area=[0.02, 0.4], aspect=[1.0, 1.0])(blank(), Key.root(1)).x)
    theirs = v2.RandomErasing(p=1.0, scale=(0.02, 0.4), ratio=(1.0, 1.0), value=0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        reference = boxes(torch.stack([theirs(image) for image in blank(1000).x]))
    for field in Boxes._fields:
        same_law(getattr(ours, field), getattr(reference, field))


def test_rectangles_have_the_papers_law() -> None:
    """Against the definition, one image at a time with as many tries as it takes."""
    rng, drawn = random.Random(0), []
    while len(drawn) < N:
        area, aspect = rng.uniform(0.02, 0.4) * SIDE**2, rng.uniform(0.3, 10 / 3)
        height, width = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if height < SIDE and width < SIDE:
            drawn.append((rng.randint(0, SIDE - height), rng.randint(0, SIDE - width), height, width))
    reference = Boxes(*torch.tensor(drawn).unbind(1))
    ours = boxes(random_erasing(p=1.0)(blank(), Key.root(2)).x)
    assert len(ours.top) == N, "ten tries find a fit"
    for field in Boxes._fields:
        same_law(getattr(ours, field), getattr(reference, field))
    same_law(ours.height * ours.width, reference.height * reference.width)
    same_law(ours.top * SIDE // (SIDE - ours.height + 1), reference.top * SIDE // (SIDE - reference.height + 1))


@pytest.mark.parametrize("p", [0.0, 0.3, 0.5, 1.0])
def test_probability(p: float) -> None:
    erased = len(boxes(random_erasing(p=p, fill="black")(blank(), Key.root(3)).x).top)
    assert abs(erased - p * N) <= 4 * math.sqrt(p * (1 - p) * N)


def test_random_fill_is_uniform_over_bytes_and_independent_per_channel() -> None:
    batch = blank(400)
    out = random_erasing(p=1.0)(batch, Key.root(4)).x
    pixels = out[(out != batch.x).all(1, keepdim=True).expand_as(out)] * 255
    assert torch.equal(pixels, pixels.round())
    assert stats.chisquare(torch.bincount(pixels.long(), minlength=256)).pvalue > 1e-4
    flat = out.permute(1, 0, 2, 3)[:, (out != batch.x).all(1)]
    assert (torch.corrcoef(flat) - torch.eye(3)).abs().max() < 5 / math.sqrt(flat.shape[1])


@pytest.mark.parametrize("fill", ["mean", "black"])
def test_plain_fills(fill: str) -> None:
    batch = blank(50)
    out = random_erasing(p=1.0, fill=fill)(batch, Key.root(5)).x
    value = batch.mean if fill == "mean" else torch.zeros(3)
    assert torch.equal(out == batch.x, out != value[:, None, None])


def test_area_that_never_fits_changes_nothing() -> None:
    batch = blank(20)
    assert torch.equal(random_erasing(p=1.0, area=[1.0, 1.0], aspect=[1.0, 1.0])(batch, Key.root(0)).x, batch.x)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"p": 1.5}, "p"),
        ({"area": [0.4, 0.02]}, "area"),
        ({"area": [0.0, 0.4]}, "area"),
        ({"area": [0.1]}, "area"),
        ({"aspect": [0.0, 1.0]}, "aspect"),
        ({"fill": "noise"}, "fill"),
    ],
)
def test_refuses(arguments: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named}: "):
        random_erasing(**arguments)  # type: ignore[arg-type]
