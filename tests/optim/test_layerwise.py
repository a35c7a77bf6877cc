"""LARS and LAMB."""

from typing import Any

import pytest
import torch
from stepping import chosen, ends, go, network, weights
from timm.optim import Lamb, Lars
from torch import Tensor

from ablation.types import Weights

STEPS = 4


def theirs(make: Any, arguments: dict[str, Any], decay: float, plain: set[str]) -> dict[str, Tensor]:
    """timm's: parameters in a group without decay are not adapted."""
    given = weights(network())
    split = [
        {"params": [p for name, p in given.params.items() if name not in plain], "weight_decay": decay},
        {"params": [p for name, p in given.params.items() if name in plain], "weight_decay": 0.0},
    ]
    go(given, make([group for group in split if group["params"]], **arguments), range(STEPS))
    return {name: p.detach() for name, p in given.params.items()}


EXEMPT = {"body.0.bias", "body.1.weight", "body.1.bias", "body.3.bias", "head.bias"}


def compare(ours: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert ours.keys() == expected.keys()
    for name, p in expected.items():
        torch.testing.assert_close(ours[name], p, rtol=1e-5, atol=1e-6, msg=name)


@pytest.mark.parametrize("exempt", [["bias", "norm"], []])
@pytest.mark.parametrize("nesterov", [False, True])
def test_lars_is_timms(nesterov: bool, exempt: list[str]) -> None:
    shared = {"lr": 2.0, "momentum": 0.8, "nesterov": nesterov}
    ours = ends(chosen("lars", **shared, trust=0.02, weight_decay=0.1, no_adapt=exempt, no_decay=exempt), STEPS)
    compare(ours, theirs(Lars, shared | {"trust_coeff": 0.02}, 0.1, EXEMPT if exempt else set()))


@pytest.mark.parametrize("exempt", [["bias", "norm"], []])
def test_lamb_is_timms(exempt: list[str]) -> None:
    shared = {"lr": 0.02, "betas": (0.8, 0.9), "eps": 1e-4}
    ours = ends(chosen("lamb", **shared, weight_decay=0.1, no_adapt=exempt, no_decay=exempt), STEPS)
    compare(ours, theirs(Lamb, shared | {"max_grad_norm": None}, 0.1, EXEMPT if exempt else set()))


@pytest.mark.parametrize("option", ["lars", "lamb"])
def test_a_layer_at_zero_or_without_gradient_still_steps_by_numbers(option: str) -> None:
    """A norm of 0 falls back to the plain step: zero gamma's layers learn."""
    given = weights(network())
    with torch.no_grad():
        given.params["body.3.weight"].zero_()
    optimizer = chosen(option, weight_decay=0.1)(given)
    go(given, optimizer, [0])
    moved = given.params["body.3.weight"]
    assert moved.any()
    for p in given.params.values():
        p.grad = torch.zeros_like(p)
    optimizer.step()
    assert all(p.isfinite().all() for p in given.params.values())


@pytest.mark.parametrize("option", ["lars", "lamb"])
def test_the_step_of_a_layer_is_in_proportion_to_it_whatever_its_gradient(option: str) -> None:
    def relative(size: float) -> float:
        model = network()
        given = Weights({"w": model["body"][3].weight}, {}, {"w": "weight"})  # type: ignore[index]
        before = given.params["w"].detach().clone()
        optimizer = chosen(option, weight_decay=0.0, lr=0.5)(given)
        given.params["w"].grad = size * torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
        optimizer.step()
        return ((given.params["w"] - before).norm() / before.norm()).item()

    step = 0.5 * (1e-3 if option == "lars" else 1.0)
    assert relative(1.0) == pytest.approx(step, rel=1e-4)
    assert relative(1000.0) == pytest.approx(step, rel=1e-4)


@pytest.mark.parametrize(
    ("option", "arguments", "named"),
    [
        ("lars", {"trust": 0}, "trust"),
        ("lars", {"momentum": 1}, "momentum"),
        ("lars", {"momentum": 0, "nesterov": True}, "nesterov"),
        ("lars", {"no_adapt": ["norms"]}, "no_adapt"),
        ("lamb", {"betas": [1, 0]}, "betas"),
        ("lamb", {"eps": -1}, "eps"),
        ("lamb", {"no_adapt": ["norms"]}, "no_adapt"),
    ],
)
def test_refuses(option: str, arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named}: "):
        chosen(option, **arguments)(weights(network()))
