import math
from collections.abc import Callable

import pytest
import torch
from scipy import stats
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from ablation.aug.color_jitter import color_jitter
from ablation.key import Key
from ablation.types import Batch

Make = Callable[..., Batch]
CHANGES = [F.adjust_brightness, F.adjust_contrast, F.adjust_saturation, F.adjust_hue]
SITES = ["brightness", "contrast", "saturation", "hue"]


def in_every_order(x: Tensor, amounts: dict[int, float]) -> list[Tensor]:
    """What torchvision's changes make of an image, one result an order."""
    if not amounts:
        return [x]
    first = {i: CHANGES[i](x, amount) for i, amount in amounts.items()}
    return [y for i in amounts for y in in_every_order(first[i], {j: a for j, a in amounts.items() if j != i})]


@pytest.mark.parametrize(("n", "c"), [(120, 3), (5, 1)])
def test_is_torchvisions_in_one_of_24_equally_likely_orders(make: Make, n: int, c: int) -> None:
    """On float images; the amounts are drawn again here."""
    strengths = [0.4, 0.8, 1.5, 0.3]
    batch, key = make(n=n, c=c, h=4, w=4), Key.root(1)
    out = color_jitter(*strengths)(batch, key).x
    low = [max(0.0, 1 - a) for a in strengths[:3]] + [-strengths[3]]
    high = [1 + a for a in strengths[:3]] + [strengths[3]]
    amounts = [a + (b - a) * key.fold(s).uniform(n) for a, b, s in zip(low, high, SITES, strict=True)]
    theirs = [
        in_every_order(x, dict(enumerate(a.tolist()))) for x, a in zip(batch.x, torch.stack(amounts, 1), strict=True)
    ]
    errors = (torch.stack([torch.stack(t) for t in theirs]) - out[:, None]).abs().amax((2, 3, 4))
    assert errors.amin(1).max() < 2e-5
    if c == 3:
        assert stats.chisquare(errors.argmin(1).bincount(minlength=24)).pvalue > 1e-4


def test_amounts_are_uniform_and_independent(make: Make) -> None:
    """Grey images of one level show brightness and nothing else; below the clamp."""
    batch = make(n=4000, h=2, w=2)
    grey = batch._replace(x=torch.full_like(batch.x, 0.5))
    factor = color_jitter(0.4, 0.4, 0.4)(grey, Key.root(0)).x.flatten(1).mean(1) / 0.5
    assert stats.kstest(factor, stats.uniform(0.6, 0.8).cdf).pvalue > 1e-4


@pytest.mark.parametrize("only", SITES)
def test_each_change_alone(make: Make, only: str) -> None:
    batch, key = make(n=20), Key.root(2)
    none = dict.fromkeys(SITES, 0.0)
    assert torch.equal(color_jitter(**none)(batch, key).x, batch.x), "no strength changes nothing"
    out = color_jitter(**{**none, only: 0.4})(batch, key).x
    amount = key.fold(only).uniform(20) * 0.8 + (-0.4 if only == "hue" else 0.6)
    expected = [CHANGES[SITES.index(only)](x, float(a)) for x, a in zip(batch.x, amount, strict=True)]
    torch.testing.assert_close(out, torch.stack(expected), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [({"brightness": -0.1}, "brightness"), ({"contrast": math.inf}, "contrast"), ({"hue": 0.6}, "hue")],
)
def test_refuses(arguments: dict[str, float], named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named}: "):
        color_jitter(**arguments)
