import math

import pytest
import torch
from torch import Tensor, nn

from ablation.init.kaiming import kaiming
from ablation.key import Key
from ablation.model.resnet_cifar import resnet_cifar
from ablation.types import Model


def net(**arguments: object) -> Model:
    return resnet_cifar(10, 3, 32, depth=14, **arguments)  # type: ignore[arg-type]


def drawn(model: nn.Module) -> dict[str, Tensor]:
    """The weights of all convolutions after kaiming, by name."""
    kaiming()(model, Key.root(5))
    return {name: m.weight for name, m in model.named_modules() if isinstance(m, nn.Conv2d)}


@pytest.mark.parametrize("mode", ["fan_in", "fan_out"])
@pytest.mark.parametrize(
    ("a", "nonlinearity", "gain"),
    [(0.0, "leaky_relu", math.sqrt(2)), (0.5, "leaky_relu", math.sqrt(2 / 1.25)), (0.0, "relu", math.sqrt(2))],
)
def test_std_is_the_papers(mode: str, a: float, nonlinearity: str, gain: float) -> None:
    model = net(shortcut="1x1")
    kaiming(mode, a, nonlinearity)(model, Key.root(0))
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            fan = (layer.in_channels if mode == "fan_in" else layer.out_channels) * math.prod(layer.kernel_size)
            spread = 5 / math.sqrt(2 * layer.weight.numel())
            assert layer.weight.std().item() == pytest.approx(gain / math.sqrt(fan), rel=spread)
            assert abs(layer.weight.mean().item()) < 5 * gain / math.sqrt(fan * layer.weight.numel())


def test_is_torchs_own_with_the_layers_key() -> None:
    for name, weight in drawn(net()).items():
        expected = nn.init.kaiming_normal_(
            torch.empty_like(weight), mode="fan_out", generator=Key.root(5).fold(name).generator()
        )
        assert torch.equal(weight, expected)


def test_more_layers_do_not_change_the_others() -> None:
    few = drawn(net())
    for model in (net(shortcut="1x1"), net(drop=lambda: nn.Dropout(0.1)), net(preact=True)):
        more = drawn(model)
        assert set(few) <= set(more)
        assert all(torch.equal(few[name], more[name]) for name in few)
    assert not torch.equal(few["blocks.0.branch.conv1"], few["blocks.0.branch.conv2"])


def test_leaves_everything_else_alone() -> None:
    model = net()
    before = {name: p.clone() for name, p in model.named_parameters() if p.ndim != 4}
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    drawn(model)
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters() if p.ndim != 4)


def test_linear_layers_on_request() -> None:
    model = nn.Linear(400, 300)
    kaiming("fan_in", linear=True)(model, Key.root(0))
    assert model.weight.std().item() == pytest.approx(math.sqrt(2 / 400), rel=0.02)
    assert not model.bias.any()


def test_refuses() -> None:
    with pytest.raises(ValueError, match=r"^mode: there is no 'fan'; did you mean fan_in or fan_out"):
        kaiming("fan")
    with pytest.raises(ValueError, match=r"^nonlinearity: .*gelly"):
        kaiming(nonlinearity="gelly")
    with pytest.raises(ValueError, match="no such layers"):
        kaiming()(nn.Linear(3, 3), Key.root(0))
