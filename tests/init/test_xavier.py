import math

import pytest
import torch
from torch import nn

from ablation.init.xavier import xavier
from ablation.key import Key
from ablation.model.resnet_cifar import resnet_cifar

LAYERS = (nn.Conv2d, nn.Linear)


@pytest.mark.parametrize("gain", [1.0, 1.5])
@pytest.mark.parametrize("distribution", ["uniform", "normal"])
def test_spread_is_the_papers(distribution: str, gain: float) -> None:
    model = resnet_cifar(10, 3, 32, depth=14, shortcut="1x1")
    xavier(distribution, gain)(model, Key.root(0))
    for layer in model.modules():
        if isinstance(layer, LAYERS):
            w = layer.weight
            std = gain * math.sqrt(2 / (w[0].numel() + w[:, 0].numel()))
            assert w.std().item() == pytest.approx(std, rel=5 / math.sqrt(2 * w.numel()))
            assert abs(w.mean().item()) < 5 * std / math.sqrt(w.numel())
            assert (w.abs().max().item() <= math.sqrt(3) * std) == (distribution == "uniform")
            assert layer.bias is None or not layer.bias.any()


def test_is_torchs_own_with_the_layers_key() -> None:
    model = resnet_cifar(10, 3, 32, depth=8)
    xavier()(model, Key.root(5))
    for name, layer in model.named_modules():
        if isinstance(layer, LAYERS):
            generator = Key.root(5).fold(name).generator()
            expected = nn.init.xavier_uniform_(torch.empty_like(layer.weight), generator=generator)
            assert torch.equal(layer.weight, expected)


def test_convolutions_only_on_request() -> None:
    model = resnet_cifar(10, 3, 32, depth=8)
    before = {name: p.clone() for name, p in model.named_parameters()}
    xavier(linear=False)(model, Key.root(5))
    changed = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert changed == {name for name, p in before.items() if p.ndim == 4}


def test_refuses() -> None:
    with pytest.raises(ValueError, match=r"^distribution: there is no 'gauss'; valid: normal, uniform"):
        xavier("gauss")
    with pytest.raises(ValueError, match=r"^gain: 0 is not"):
        xavier(gain=0)
    with pytest.raises(ValueError, match="no such layers"):
        xavier()(nn.BatchNorm2d(3), Key.root(0))
