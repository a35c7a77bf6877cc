import pytest
import torch
from pytorch_optimizer.optimizer.gradient_centralization import centralize_gradient
from torch import nn

from ablation.regularizer.centralise import centralise
from ablation.types import Step, Tensors, Weights

STEP = Step(torch.tensor(1.0), torch.tensor(2.0))
SHAPES = {"conv": (4, 3, 3, 3), "linear": (5, 6), "bias": (5,), "gain": ()}


def randoms(*lanes: int) -> Tensors:
    g = torch.Generator().manual_seed(0)
    return {name: 1 + torch.randn((*lanes, *shape), generator=g) for name, shape in SHAPES.items()}


def centralised(gradients: Tensors, conv_only: bool = False, lanes: int | None = None) -> Tensors:
    weights = Weights({name: nn.Parameter(torch.zeros_like(g)) for name, g in gradients.items()}, {}, {}, lanes)

    def fill() -> Step:
        for name, g in gradients.items():
            weights.params[name].grad = g.clone()
        return STEP

    assert centralise(conv_only).wrap(fill, weights)() is STEP
    return weights.grads()


@pytest.mark.parametrize("conv_only", [False, True])
def test_is_pytorch_optimizers(conv_only: bool) -> None:
    gradients = randoms()
    ours = centralised(gradients, conv_only)
    for name, g in gradients.items():
        theirs = g.clone()
        centralize_gradient(theirs, gc_conv_only=conv_only)
        torch.testing.assert_close(ours[name], theirs)
    assert torch.equal(ours["linear"], gradients["linear"]) == conv_only
    assert not torch.equal(ours["conv"], gradients["conv"])
    assert all(torch.equal(ours[name], gradients[name]) for name in ("bias", "gain"))


def test_lanes_are_single_seeds() -> None:
    """Stacked, a bias has two dimensions as a linear layer has."""
    gradients = randoms(3)
    ours = centralised(gradients, lanes=3)
    for i in range(3):
        for name, g in centralised({name: g[i] for name, g in gradients.items()}).items():
            torch.testing.assert_close(ours[name][i], g)


def test_a_step_keeps_the_mean_of_each_outputs_weights() -> None:
    w = nn.Parameter(torch.randn(5, 6, generator=torch.Generator().manual_seed(1)))
    before = w.detach().mean(1)
    w.grad = centralised({"w": randoms()["linear"]})["w"]
    torch.optim.SGD([w], lr=0.5).step()
    torch.testing.assert_close(w.detach().mean(1), before)


def test_refuses() -> None:
    with pytest.raises(ValueError, match=r"^conv_only: "):
        centralise(1)  # type: ignore[arg-type]
