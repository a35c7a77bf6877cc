import io
from typing import Any

import pytest
import torch
from timm.optim import param_groups_weight_decay
from torch import Tensor, nn

from ablation.optim.sgd import sgd
from ablation.types import Weights

BATCH = 256


def network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))


def weights(model: nn.Module) -> Weights:
    kinds = {name: "bias" if name.endswith("bias") else "weight" for name, _ in model.named_parameters()}
    kinds |= {"1.weight": "norm", "1.bias": "norm"}
    return Weights(dict(model.named_parameters()), {}, kinds)


def decayed(model: nn.Module, groups: list[dict[str, Any]]) -> set[str]:
    names = {id(p): name for name, p in model.named_parameters()}
    return {names[id(p)] for group in groups if group["weight_decay"] > 0 for p in group["params"]}


@pytest.mark.parametrize(
    ("no_decay", "expected"),
    [
        ([], {"0.weight", "0.bias", "1.weight", "1.bias", "3.weight", "3.bias"}),
        (["bias"], {"0.weight", "1.weight", "3.weight"}),
        (["norm"], {"0.weight", "0.bias", "3.weight", "3.bias"}),
        (["bias", "norm"], {"0.weight", "3.weight"}),
    ],
)
def test_no_decay(no_decay: list[str], expected: set[str]) -> None:
    model = network()
    groups = sgd(weights(model), BATCH, no_decay=no_decay).param_groups
    assert decayed(model, groups) == expected
    assert sum(len(group["params"]) for group in groups) == 6, "each parameter once"


def test_bias_and_norm_are_timms_groups() -> None:
    model = network()
    ours = sgd(weights(model), BATCH, weight_decay=1e-4, no_decay=["bias", "norm"]).param_groups
    assert decayed(model, ours) == decayed(model, param_groups_weight_decay(model, weight_decay=1e-4))


@pytest.mark.parametrize("nesterov", [False, True])
def test_is_the_formula(nesterov: bool) -> None:
    g = torch.Generator().manual_seed(0)
    w, v = torch.randn(5, generator=g), torch.zeros(5)
    p = nn.Parameter(w.clone())
    optimizer = sgd(Weights({"w": p}, {}, {"w": "weight"}), BATCH, lr=0.1, nesterov=nesterov, weight_decay=0.01)
    for _ in range(4):
        p.grad = torch.randn(5, generator=g)
        decayed_gradient = p.grad + 0.01 * w
        v = 0.9 * v + decayed_gradient
        w = w - 0.1 * (decayed_gradient + 0.9 * v if nesterov else v)
        optimizer.step()  # type: ignore[no-untyped-call]
        torch.testing.assert_close(p.detach(), w)


def test_any_memory_format_gives_the_same_step() -> None:
    """What torch's fused optimiser gets wrong on the CPU: a gradient laid out unlike its parameter."""
    g = torch.Generator().manual_seed(0)
    w, gradient = (torch.randn(4, 3, 3, 3, generator=g) for _ in range(2))
    ends: list[Tensor] = []
    for layout in (torch.contiguous_format, torch.channels_last):
        p = nn.Parameter(w.clone(memory_format=layout))
        optimizer = sgd(Weights({"w": p}, {}, {"w": "weight"}), BATCH)
        for _ in range(2):
            p.grad = gradient.clone()
            optimizer.step()  # type: ignore[no-untyped-call]
        ends.append(p.detach())
    assert torch.equal(*ends)


def test_resumes_bit_for_bit_from_a_safe_file() -> None:
    def go(model: nn.Module, optimizer: torch.optim.Optimizer, step: int) -> None:
        x = torch.randn(8, 3, 3, 3, generator=torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        model(x).square().sum().backward()
        optimizer.step()

    torch.manual_seed(0)
    straight, resumed = network(), network()
    resumed.load_state_dict(straight.state_dict())
    one, other = (sgd(weights(m), BATCH, lr=0.01, no_decay=["bias"]) for m in (straight, resumed))
    for step in range(2):
        go(straight, one, step)
        go(resumed, other, step)
    file = io.BytesIO()
    torch.save(other.state_dict(), file)
    file.seek(0)
    other = sgd(weights(resumed), BATCH, lr=0.01, no_decay=["bias"])
    other.load_state_dict(torch.load(file, weights_only=True))
    go(straight, one, 2)
    go(resumed, other, 2)
    assert all(torch.equal(a, b) for a, b in zip(straight.parameters(), resumed.parameters(), strict=True))


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"lr": -0.1}, "lr"),
        ({"lr": 0}, "lr"),
        ({"momentum": -0.1}, "momentum"),
        ({"momentum": 1.0}, "momentum"),
        ({"momentum": 0, "nesterov": True}, "nesterov"),
        ({"weight_decay": -1e-4}, "weight_decay"),
        ({"no_decay": ["biases"]}, "no_decay"),
    ],
)
def test_refuses(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named}: "):
        sgd(weights(network()), BATCH, **arguments)
