import pytest
import torch
from torch import nn

from ablation.init.orthogonal import orthogonal
from ablation.key import Key
from ablation.model.resnet_cifar import resnet_cifar

LAYERS = (nn.Conv2d, nn.Linear)


def test_every_singular_value_is_the_gain() -> None:
    model = resnet_cifar(10, 3, 32, depth=8, shortcut="1x1")
    orthogonal(gain=1.5)(model, Key.root(0))
    matrices = [layer.weight.flatten(1) for layer in model.modules() if isinstance(layer, LAYERS)]
    assert {m.shape[0] > m.shape[1] for m in matrices} == {True, False}, "tall ones and wide ones"
    for m in matrices:
        values = torch.linalg.svdvals(m)
        torch.testing.assert_close(values, torch.full_like(values, 1.5))


def test_directions_are_uniform() -> None:
    """Of a uniformly random rotation every entry has mean 0 and variance 1/n; QR alone favours the diagonal's sign."""
    n, layers = 4, 200
    model = nn.ModuleList(nn.Linear(n, n) for _ in range(layers))
    orthogonal()(model, Key.root(0))
    w = torch.stack([layer.weight.detach() for layer in model])  # type: ignore[misc]
    assert w.mean(0).abs().max() < 5 / (n * layers) ** 0.5
    torch.testing.assert_close(w.square().mean(0), torch.full((n, n), 1 / n), rtol=0.5, atol=0)


def test_each_layer_draws_from_its_name() -> None:
    few, more = (resnet_cifar(10, 3, 32, depth=8, shortcut=kind) for kind in ("pad", "1x1"))
    for model in (few, more):
        orthogonal()(model, Key.root(5))
    others = dict(more.named_parameters())
    assert all(torch.equal(p, others[name]) for name, p in few.named_parameters())
    assert not torch.equal(others["blocks.0.branch.conv1.weight"], others["blocks.0.branch.conv2.weight"])


def test_refuses() -> None:
    with pytest.raises(ValueError, match=r"^gain: -1 is not"):
        orthogonal(gain=-1)
    with pytest.raises(ValueError, match="no such layers"):
        orthogonal(linear=False)(nn.Linear(3, 3), Key.root(0))
