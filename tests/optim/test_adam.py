from typing import Any

import pytest
import torch
from stepping import chosen, ends, network, pull, weights


@pytest.mark.parametrize("option", ["adam", "adamw"])
@pytest.mark.parametrize("amsgrad", [False, True])
def test_is_the_formula(option: str, amsgrad: bool) -> None:
    """In float64, written out; the two differ in where the decay goes."""
    lr, decay, eps, (b1, b2) = 0.01, 0.3, 1e-3, (0.8, 0.9)
    given = weights(network())
    w = {name: p.detach().double() for name, p in given.params.items()}
    m, v, top = ({name: torch.zeros_like(p) for name, p in w.items()} for _ in range(3))
    for t in range(1, 5):
        pull(given, t - 1)
        for name, p in given.params.items():
            assert p.grad is not None
            g = p.grad.double() + (decay * w[name] if option == "adam" else 0)
            m[name] = b1 * m[name] + (1 - b1) * g
            v[name] = b2 * v[name] + (1 - b2) * g * g
            top[name] = torch.maximum(top[name], v[name]) if amsgrad else v[name]
            shrunk = w[name] * (1 - lr * decay) if option == "adamw" else w[name]
            w[name] = shrunk - lr * (m[name] / (1 - b1**t)) / ((top[name] / (1 - b2**t)).sqrt() + eps)
    ours = ends(chosen(option, lr=lr, weight_decay=decay, eps=eps, betas=[b1, b2], amsgrad=amsgrad), 4)
    for name, p in ours.items():
        torch.testing.assert_close(p.double(), w[name], rtol=1e-5, atol=1e-6)


def test_without_decay_they_are_one() -> None:
    plain, apart = ends(chosen("adam")), ends(chosen("adamw", weight_decay=0.0))
    assert all(torch.equal(plain[name], apart[name]) for name in plain)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [({"betas": [0.9]}, "betas"), ({"betas": [0.9, 1.0]}, "betas"), ({"eps": -1}, "eps")],
)
@pytest.mark.parametrize("option", ["adam", "adamw"])
def test_refuses(option: str, arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named}: "):
        chosen(option, **arguments)(weights(network()))
