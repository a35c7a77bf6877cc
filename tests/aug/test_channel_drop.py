from collections.abc import Callable

import pytest
import torch

from ablation.aug.channel_drop import channel_drop
from ablation.key import Key
from ablation.types import Batch

Make = Callable[..., Batch]


@pytest.mark.parametrize("most", [1, 2])
def test_each_number_of_channels_is_equally_likely_and_so_is_each_channel(make: Make, most: int) -> None:
    n = 6000
    batch = make(n=n, h=4, w=4)
    dropped = channel_drop(most)(batch, Key.root(0)).x.flatten(2).eq(0).all(2)
    shares = dropped.sum(1).bincount(minlength=4) / n
    expected = torch.tensor([1.0 / (most + 1)] * (most + 1) + [0.0] * (3 - most))
    assert (shares - expected).abs().max() < 0.025
    assert (dropped.float().mean(0) - most / 2 / 3).abs().max() < 0.025


def test_the_other_channels_are_untouched(make: Make) -> None:
    batch = make()
    out = channel_drop(2)(batch, Key.root(1)).x
    assert torch.equal(out[out != 0], batch.x[out != 0])
    assert out.is_contiguous(memory_format=torch.channels_last)


def test_none_changes_nothing(make: Make) -> None:
    batch = make()
    assert torch.equal(channel_drop(0)(batch, Key.root(0)).x, batch.x)


@pytest.mark.parametrize("most", [-1, 1.5])
def test_refuses(most: float) -> None:
    with pytest.raises(ValueError, match=r"^most: "):
        channel_drop(most)  # type: ignore[arg-type]
