"""A gain on each branch: closed forms."""

from __future__ import annotations

import pytest
import torch
from joins import run, tensors

from ablation.model.resnet_cifar import ResNetCifar, resnet_cifar
from ablation.regularizer.skip_init import skip_init
from ablation.types import Noise


def net(noise: Noise, preact: bool = False) -> ResNetCifar:
    torch.manual_seed(0)
    model = resnet_cifar(10, 3, 16, depth=8, preact=preact, join=noise.join)
    assert isinstance(model, ResNetCifar)
    return model


@pytest.mark.parametrize("preact", [False, True])
def test_blocks_begin_as_their_shortcuts_and_every_gain_learns(preact: bool) -> None:
    model = net(skip_init(), preact)
    x = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    maps = model.stem(x)
    for block in model.blocks:
        active = block.get_submodule("pre")(maps) if preact and block.start else maps
        carried = block.get_submodule("shortcut")(active)
        maps = block(maps)
        assert torch.equal(maps, carried if preact else carried.relu())
    model(x).square().sum().backward()
    gains = {name: p for name, p in model.named_parameters() if name.endswith("gain")}
    assert list(gains) == [f"blocks.{i}.join.gain" for i in range(3)]
    assert all(p.grad is not None and p.grad.item() != 0 for p in gains.values())
    branch = model.blocks[0].get_submodule("branch")
    assert not any(p.grad.any() for p in branch.parameters() if p.grad is not None), "not before their gain has moved"


def test_output_and_gradients_are_the_formulas() -> None:
    make = skip_init(0.3).join
    assert make is not None
    layer, inputs = make(1, 1), tensors(3, 2, 3, 4, 4)
    (gain,) = layer.parameters()
    ours = run(layer, *inputs)
    for one, other in zip(ours, run(lambda x, y, z: x + 0.3 * (y + z), *inputs), strict=True):
        torch.testing.assert_close(one, other)
    (slope,) = torch.autograd.grad(layer(*inputs).sum(), [gain])
    torch.testing.assert_close(slope, (inputs[1] + inputs[2]).sum().detach()[None], rtol=1e-4, atol=1e-4)
    assert layer(*(x.bfloat16() for x in inputs)).dtype == torch.bfloat16


def test_gain_1_is_the_plain_network_bit_for_bit() -> None:
    x = torch.randn(4, 3, 16, 16)
    assert torch.equal(net(skip_init(1.0))(x), net(Noise())(x))


def test_refuses() -> None:
    with pytest.raises(ValueError, match=r"^start: nan is not a finite number"):
        skip_init(float("nan"))
