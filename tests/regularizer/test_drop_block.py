"""DropBlock against torchvision's, with the same seeds of squares."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from joins import lanes_agree, tensors
from torch import Tensor
from torchvision.ops import drop_block2d

from ablation.key import Key
from ablation.model.resnet_cifar import resnet_cifar
from ablation.regularizer.drop_block import DropBlock, drop_block


def layer(p: float, size: int, shared: bool = False, seed: int = 0) -> DropBlock:
    make = drop_block(p, size, shared).drop
    assert make is not None
    made = make()
    assert isinstance(made, DropBlock)
    made.word = Key.root(seed).word
    return made


@pytest.mark.parametrize(("size", "h", "w"), [(7, 32, 32), (3, 8, 8), (7, 8, 8), (5, 9, 12), (1, 8, 8), (9, 7, 7)])
def test_is_torchvisions(size: int, h: int, w: int, monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.randn(6, 4, h, w, generator=torch.Generator().manual_seed(0))
    ours = layer(0.2, size)(x)

    def same(noise: Tensor, gamma: float) -> Tensor:
        n, c, rows, columns = noise.shape
        return noise.copy_(Key.root(0).mask(gamma, n, rows, columns, c).movedim(-1, 1))

    monkeypatch.setattr(Tensor, "bernoulli_", same)
    assert (ours == 0).any()
    torch.testing.assert_close(ours, drop_block2d(x, 0.2, size))


@pytest.mark.parametrize("size", [1, 4, 7])
def test_squares_are_whole_and_as_many_as_asked_for(size: int) -> None:
    y = layer(0.05, size)(torch.ones(64, 8, 32, 32))
    dropped = (y == 0).float()
    covered = torch.nn.functional.unfold(dropped.flatten(0, 1)[:, None], size).prod(1)  # a whole square begins here
    again = torch.nn.functional.fold(covered[:, None].expand(-1, size**2, -1), 32, size)
    assert torch.equal((again > 0).float(), dropped.flatten(0, 1)[:, None])
    gamma = 0.05 * 32**2 / (size * (32 - size + 1)) ** 2
    inside = dropped[..., size:-size, size:-size]  # reached by size^2 places each
    assert inside.mean().item() == pytest.approx(1 - (1 - gamma) ** size**2, rel=0.06)
    assert y.mean().item() == pytest.approx(1, abs=1e-5)


def test_channels_of_an_image_share_their_squares_if_asked() -> None:
    x = torch.ones(8, 4, 16, 16)
    shared, own = layer(0.2, 5, shared=True)(x), layer(0.2, 5)(x)
    assert torch.equal(shared, shared[:, :1].expand_as(shared))
    assert not torch.equal(own, own[:, :1].expand_as(own))
    assert not torch.equal(shared[:1], shared[1:2])


def test_p_0_and_evaluation_change_nothing() -> None:
    (x,) = tensors(1, 4, 8, 8, 8)
    assert torch.equal(layer(0.0, 3)(x), x)
    assert torch.equal(layer(0.5, 3).eval()(x), x)
    assert layer(0.9999, 8)(torch.ones(1, 1, 8, 8)).isfinite().all(), "where nothing is left"


def test_sits_before_the_last_convolution_and_takes_lanes_and_half_precision() -> None:
    model = resnet_cifar(10, 3, 32, depth=8, drop=drop_block().drop)
    assert isinstance(model.get_submodule("blocks.2.branch.drop"), DropBlock)
    (x,) = tensors(1, 4, 8, 8, 8)
    lanes_agree(layer(0.3, 3), x)
    assert layer(0.3, 3)(x.bfloat16()).dtype == torch.bfloat16


def test_refuses() -> None:
    for p in (-0.1, 1.0):
        with pytest.raises(ValueError, match=r"^p: .* is not in \[0, 1\)"):
            drop_block(p)
    sizes: list[Any] = [0, 3.5]
    for size in sizes:
        with pytest.raises(ValueError, match=rf"^size: {size} is not a whole number"):
            drop_block(size=size)


def test_a_whole_number_written_with_a_point_is_one() -> None:
    size: Any = 7.0
    drop = drop_block(size=size).drop
    assert drop is not None
    (x,) = tensors(1, 4, 8, 8, 8)
    assert drop()(x).shape == x.shape
