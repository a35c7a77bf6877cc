"""Whether a policy has torchvision's law: one image, all that can become of it by torchvision, how often by ours."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from scipy import stats
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms import v2

from ablation.key import Key
from ablation.types import Aug, Batch

SIDE = 12
Change = tuple[str, float]  # torchvision's name and magnitude
Choice = tuple[float, Change | None]  # probability of a change, or of none


def image() -> Tensor:
    """Smooth colours and noise, uint8 (3, SIDE, SIDE): no two operations make the same of it."""
    g = torch.Generator().manual_seed(0)
    smooth = F.interpolate(torch.rand(1, 3, 5, 5, generator=g), (SIDE, SIDE), mode="bilinear")[0]
    return ((0.7 * smooth + 0.3 * torch.rand(3, SIDE, SIDE, generator=g)) * 255).round().to(torch.uint8)


def changed(x: Tensor, change: Change) -> Tensor:
    """What torchvision's operation makes of uint8 images."""
    base = v2.RandAugment()
    out: Tensor = base._apply_image_or_video_transform(x, *change, "nearest", base._fill)
    return out


def signed(name: str, magnitudes: Tensor | None, level: int, signs: bool) -> list[Choice]:
    """The changes of an operation of torchvision's tables at a level."""
    magnitude = 0.0 if magnitudes is None else float(magnitudes[level])
    return [(0.5, (name, magnitude)), (0.5, (name, -magnitude))] if signs else [(1.0, (name, magnitude))]


def same_law(aug: Aug, chains: Sequence[Sequence[Sequence[Choice]]], n: int = 1500) -> None:
    """Chi-square of what becomes of n copies of an image; each chain of steps is equally likely."""
    results: list[tuple[float, Tensor]] = []
    for chain in chains:
        now = [(1 / len(chains), image())]
        for step in chain:
            now = [(q * p, changed(x, c) if c else x) for q, x in now for p, c in step if q * p > 0]
        results += now
    expected = torch.tensor([p for p, _ in results], dtype=torch.float64)
    assert abs(expected.sum() - 1) < 1e-9
    theirs = torch.stack([x for _, x in results]).flatten(1).float()
    batch = Batch((image() / 255).expand(n, 3, SIDE, SIDE), torch.ones(n, 1), torch.tensor(0.0), torch.zeros(3))
    ours = (aug(batch, Key.root(1)).x * 255).flatten(1)

    def distances(x: Tensor) -> Tensor:
        return torch.cdist(x, theirs, p=1) / theirs.shape[1]

    alike = (distances(theirs) < 0.1).to(torch.uint8).argmax(1)  # the first of those that are one
    far, nearest = distances(ours).min(1)
    # Slopes of 1/15 and 1/5 have rows whose source is halfway between two pixels, and rounding decides: 6 % of SVHN's.
    assert (far > 0.1).float().mean() < 0.08, "outcomes are torchvision's, but for a level here and there"
    found = torch.bincount(alike[nearest], minlength=len(theirs)).double()
    sums = torch.zeros_like(expected).index_add(0, alike, expected)
    often = sums * n >= 5
    table = [torch.cat([t[often], t[~often].sum()[None]]) for t in (found, sums * n)]
    if table[1][-1] < 5:  # too few for a bin of their own
        table = [torch.cat([t[:-2], t[-2:].sum()[None]]) for t in table]
    assert stats.chisquare(*table).pvalue > 1e-4
