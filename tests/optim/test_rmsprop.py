from typing import Any

import pytest
import torch
from stepping import chosen, ends, network, pull, weights


@pytest.mark.parametrize("centered", [False, True])
def test_is_the_formula(centered: bool) -> None:
    lr, decay, eps, alpha, momentum = 0.01, 0.3, 1e-2, 0.9, 0.5
    given = weights(network())
    w = {name: p.detach().double() for name, p in given.params.items()}
    v, mean, u = ({name: torch.zeros_like(p) for name, p in w.items()} for _ in range(3))
    for step in range(3):
        pull(given, step)
        for name, p in given.params.items():
            assert p.grad is not None
            g = p.grad.double() + decay * w[name]
            v[name] = alpha * v[name] + (1 - alpha) * g * g
            mean[name] = alpha * mean[name] + (1 - alpha) * g
            spread = v[name] - mean[name] ** 2 if centered else v[name]
            u[name] = momentum * u[name] + g / (spread.sqrt() + eps)
            w[name] = w[name] - lr * u[name]
    arguments = {"lr": lr, "weight_decay": decay, "eps": eps, "alpha": alpha, "momentum": momentum}
    for name, p in ends(chosen("rmsprop", **arguments, centered=centered)).items():
        torch.testing.assert_close(p.double(), w[name], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "named"), [({"alpha": 1.0}, "alpha"), ({"momentum": -0.1}, "momentum"), ({"eps": -1}, "eps")]
)
def test_refuses(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named}: "):
        chosen("rmsprop", **arguments)(weights(network()))
