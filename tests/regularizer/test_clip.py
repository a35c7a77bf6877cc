import pytest
import torch
from torch import nn

from ablation.regularizer.clip import clip
from ablation.types import Step, Weights

STEP = Step(torch.tensor(1.0), torch.tensor(2.0))


def clipped(weights: Weights, gradients: dict[str, torch.Tensor], max_norm: float) -> None:
    def fill() -> Step:
        for name, g in gradients.items():
            weights.params[name].grad = g.clone()
        return STEP

    assert clip(max_norm).wrap(fill, weights)() is STEP


def parameters(*shape: int) -> dict[str, torch.Tensor]:
    return {"a": nn.Parameter(torch.zeros(*shape, 3, 4)), "b": nn.Parameter(torch.zeros(*shape, 5))}


def randoms(*shape: int) -> dict[str, torch.Tensor]:
    g = torch.Generator().manual_seed(0)
    return {"a": torch.randn(*shape, 3, 4, generator=g), "b": torch.randn(*shape, 5, generator=g)}


@pytest.mark.parametrize("max_norm", [0.1, 1.0, 4.0, 100.0])
def test_is_torchs(max_norm: float) -> None:
    weights, gradients = Weights(parameters(), {}, {}), randoms()
    clipped(weights, gradients, max_norm)
    reference = [nn.Parameter(torch.zeros_like(g)) for g in gradients.values()]
    for p, g in zip(reference, gradients.values(), strict=True):
        p.grad = g.clone()
    nn.utils.clip_grad_norm_(reference, max_norm)
    for p, q in zip(weights.params.values(), reference, strict=True):
        assert p.grad is not None
        assert q.grad is not None
        torch.testing.assert_close(p.grad, q.grad)


def test_a_small_gradient_is_left_as_it_is() -> None:
    weights, gradients = Weights(parameters(), {}, {}), randoms()
    clipped(weights, gradients, float("inf"))
    assert all(torch.equal(weights.grads()[name], g) for name, g in gradients.items())


def test_lanes_have_norms_of_their_own() -> None:
    scale = torch.tensor([0.01, 1.0, 100.0])
    gradients = {name: g * scale.view(3, *[1] * (g.dim() - 1)) for name, g in randoms(3).items()}
    lanes = Weights(parameters(3), {}, {}, lanes=3)
    clipped(lanes, gradients, 1.0)
    for i in range(3):
        single = Weights(parameters(), {}, {})
        clipped(single, {name: g[i] for name, g in gradients.items()}, 1.0)
        for name, g in single.grads().items():
            torch.testing.assert_close(lanes.grads()[name][i], g)
    assert torch.equal(lanes.grads()["a"][0], gradients["a"][0])


def test_a_parameter_without_gradient_is_passed_over() -> None:
    weights, gradients = Weights(parameters(), {}, {}), randoms()
    clipped(weights, {"a": gradients["a"]}, 1.0)
    assert weights.params["b"].grad is None


@pytest.mark.parametrize("max_norm", [0.0, -1.0, float("nan")])
def test_refuses(max_norm: float) -> None:
    with pytest.raises(ValueError, match=r"^max_norm: "):
        clip(max_norm)
