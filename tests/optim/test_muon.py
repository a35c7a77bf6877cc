from typing import Any

import pytest
import torch
from stepping import chosen, ends, go, network, weights
from torch import Tensor, nn

from ablation.optim._orthogonal import newton_schulz
from ablation.types import Weights

MATRICES = ("body.0.weight", "body.3.weight")


@pytest.mark.parametrize("shape", [(3, 4, 9), (2, 9, 4), (1, 5, 5)])
def test_newton_schulz_is_its_polynomial_of_the_singular_values(shape: tuple[int, int, int]) -> None:
    """In closed form, of each matrix of a batch."""
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    u, s, v = torch.linalg.svd(x, full_matrices=False)
    s = s / s.square().sum(1, keepdim=True).sqrt()
    for _ in range(5):
        s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
    torch.testing.assert_close(newton_schulz(x, 5), u @ torch.diag_embed(s) @ v)


def matrices(scale: str | None, **arguments: Any) -> dict[str, Tensor]:
    """torch's Muon on the matrices, a convolution laid flat, after three steps."""
    given = weights(network())
    flat = {name: nn.Parameter(given.params[name].detach().flatten(1).clone()) for name in MATRICES}
    theirs = torch.optim.Muon(flat.values(), adjust_lr_fn=scale, **arguments)
    ours = chosen("muon")(given)
    for step in range(3):
        go(given, ours, [step])
        for name, p in flat.items():
            grad = given.params[name].grad
            assert grad is not None
            p.grad = grad.flatten(1)
        theirs.step()
    return {name: p.detach() for name, p in flat.items()}


@pytest.mark.parametrize(("scale", "called"), [("original", None), ("rms", "match_rms_adamw")])
@pytest.mark.parametrize("nesterov", [False, True])
def test_matrices_are_torchs(nesterov: bool, scale: str, called: str | None) -> None:
    """Both in bfloat16, whose rounding the iterations enlarge where a singular value is small."""
    shared = {"lr": 0.02, "momentum": 0.9, "nesterov": nesterov, "weight_decay": 0.3}
    ours, before = ends(chosen("muon", **shared, scale=scale)), ends(chosen("muon"), 0)
    for name, p in matrices(called, **shared).items():
        apart, moved = (ours[name].flatten(1) - p).norm(), (p - before[name].flatten(1)).norm()
        assert apart < 0.02 * moved, name


@pytest.mark.parametrize("head", [False, True])
def test_the_rest_is_torchs_adamw(head: bool) -> None:
    ours = ends(chosen("muon", rest_lr=0.01, betas=[0.8, 0.9], eps=1e-4, weight_decay=0.1, head=head))
    given = weights(network())
    theirs = torch.optim.AdamW(given.params.values(), lr=0.01, betas=(0.8, 0.9), eps=1e-4, weight_decay=0.1)
    go(given, theirs, range(3))
    same = {name for name, p in given.params.items() if torch.allclose(p, ours[name], rtol=1e-5, atol=1e-6)}
    assert same == given.params.keys() - {*MATRICES, *(["head.weight"] if head else [])}


def test_the_rest_is_torchs_sgd() -> None:
    ours = ends(chosen("muon", rest="sgd", rest_lr=0.01, momentum=0.8))
    given = weights(network())
    go(given, torch.optim.SGD(given.params.values(), lr=0.01, momentum=0.8, nesterov=True), range(3))
    for name in given.params.keys() - set(MATRICES):
        torch.testing.assert_close(ours[name], given.params[name].detach())


def test_precision_and_layout_of_a_convolution() -> None:
    p = torch.randn(8, 4, 3, 3, generator=torch.Generator().manual_seed(0))
    grad = torch.randn(8, 4, 3, 3, generator=torch.Generator().manual_seed(1))
    stepped: dict[tuple[str, torch.memory_format], Tensor] = {}
    for dtype in ("fp32", "bf16"):
        for layout in (torch.contiguous_format, torch.channels_last):
            w = nn.Parameter(p.clone(memory_format=layout))
            optimizer = chosen("muon", dtype=dtype)(Weights({"conv.weight": w}, {}, {"conv.weight": "weight"}))
            w.grad = grad.clone()
            optimizer.step()
            stepped[dtype, layout] = w.detach() - p
    exact = stepped["fp32", torch.contiguous_format]
    torch.testing.assert_close(stepped["fp32", torch.channels_last], exact)
    rounded = stepped["bf16", torch.contiguous_format]
    assert 0 < (rounded - exact).norm() < 0.02 * exact.norm()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"scale": "spectral"}, "scale"),
        ({"dtype": "fp16"}, "dtype"),
        ({"rest": "adam"}, "rest"),
        ({"rest_lr": 0}, "rest_lr"),
        ({"iterations": 0}, "iterations"),
        ({"momentum": 1}, "momentum"),
        ({"betas": [0.9]}, "betas"),
    ],
)
def test_refuses(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named}: "):
        chosen("muon", **arguments)(weights(network()))
