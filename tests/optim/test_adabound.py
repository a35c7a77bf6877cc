from typing import Any

import pytest
import torch
from pytorch_optimizer import AdaBound
from stepping import Optimizer, chosen, ends, network, pull, weights
from torch import Tensor

from ablation.types import Weights

STEPS = 5


def theirs(**arguments: Any) -> dict[str, Tensor]:
    """pytorch_optimizer's, with a rate that is halved on the way."""
    given = weights(network())
    return _halved(given, AdaBound(list(given.params.values()), weight_decouple=False, **arguments))


def _halved(given: Weights, optimizer: Optimizer) -> dict[str, Tensor]:
    for step in range(STEPS):
        if step == 2:
            for group in optimizer.param_groups:
                group["lr"] /= 2
        pull(given, step)
        optimizer.step()
    return {name: p.detach() for name, p in given.params.items()}


@pytest.mark.parametrize("amsbound", [False, True])
@pytest.mark.parametrize(("lr", "gamma"), [(1e-3, 1e-3), (0.1, 1e-3), (1e-3, 10.0)], ids=["paper", "notes", "closed"])
def test_is_pytorch_optimizers(lr: float, gamma: float, amsbound: bool) -> None:
    given = weights(network())
    shared = {"lr": lr, "final_lr": 0.1, "gamma": gamma, "weight_decay": 0.1}
    ours = _halved(given, chosen("adabound", **shared, amsbound=amsbound)(given))
    for name, p in theirs(**shared, ams_bound=amsbound).items():
        torch.testing.assert_close(ours[name], p, rtol=1e-5, atol=1e-6)


def test_ends_as_sgd_with_averaged_gradients() -> None:
    """Bounds that are closed leave w - final_lr m, whatever lr is."""
    given = weights(network())
    w, m = ({name: f(p.detach()) for name, p in given.params.items()} for f in (torch.clone, torch.zeros_like))
    for step in range(3):
        pull(given, step)
        for name, p in given.params.items():
            assert p.grad is not None
            m[name] = 0.9 * m[name] + 0.1 * p.grad
            w[name] = w[name] - 0.05 * m[name]
    for name, p in ends(chosen("adabound", gamma=1e9, final_lr=0.05)).items():
        torch.testing.assert_close(p, w[name], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [({"final_lr": 0}, "final_lr"), ({"gamma": 0}, "gamma"), ({"eps": -1}, "eps"), ({"betas": [1, 0]}, "betas")],
)
def test_refuses(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named}: "):
        chosen("adabound", **arguments)(weights(network()))
