from typing import Any

import pytest
import torch
from pytorch_optimizer import SAM
from torch import Tensor, nn
from torch.func import functional_call

from ablation.regularizer.sam import sam
from ablation.types import Fill, Step, Tensors, Weights

G = torch.Generator().manual_seed(0)
X, Y = torch.randn(2, 16, 6, generator=G), torch.randint(3, (2, 16), generator=G)


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 3))


KINDS = {"0.weight": "weight", "0.bias": "bias", "1.weight": "norm", "1.bias": "norm", "3.weight": "weight"}
KINDS |= {"3.bias": "bias"}


def weights_of(model: nn.Module) -> Weights:
    return Weights(dict(model.named_parameters()), dict(model.named_buffers()), KINDS)


def filling(model: nn.Module, weights: Weights, i: int = 0) -> Fill:
    """Zero, forward, backward on batch i, as the trainer does it."""

    def fill() -> Step:
        for p in weights.params.values():
            p.grad = None
        out = functional_call(model, {**weights.params, **weights.buffers}, (X[i],))
        loss = nn.functional.cross_entropy(out, Y[i])
        loss.backward()  # type: ignore[no-untyped-call]
        return Step(loss.detach(), torch.zeros(()))

    return fill


def gradients(**arguments: Any) -> tuple[Tensors, Weights, Step]:
    model = network()
    weights = weights_of(model)
    step = sam(**arguments).wrap(filling(model, weights), weights)()
    return weights.grads(), weights, step


def plain() -> tuple[Tensors, Weights, Step]:
    model = network()
    weights = weights_of(model)
    step = filling(model, weights)()
    return weights.grads(), weights, step


@pytest.mark.parametrize("rho", [0.05, 0.5])
def test_is_the_papers_formula(rho: float) -> None:
    g = plain()[0]
    norm = torch.cat([v.flatten() for v in g.values()]).norm()
    model = network()
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.add_(rho * g[name] / norm)
    filling(model, weights_of(model))()
    for name, value in gradients(rho=rho)[0].items():
        torch.testing.assert_close(value, weights_of(model).grads()[name])


@pytest.mark.parametrize(
    ("scope", "scaled"),
    [("weights", "0.weight 3.weight"), ("gains", "0.weight 1.weight 3.weight"), ("all", " ".join(KINDS))],
)
def test_adaptive_is_the_papers_formula(scope: str, scaled: str) -> None:
    """T = |w| + eta for what is scaled, 1 for the rest."""
    g, weights, _ = plain()
    t = {n: p.detach().abs() + 0.01 if n in scaled.split() else 1.0 for n, p in weights.params.items()}
    norm = torch.cat([(t[n] * v).flatten() for n, v in g.items()]).norm()
    model = network()
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.add_(0.5 * t[name] ** 2 * g[name] / norm)
    filling(model, weights_of(model))()
    for name, value in gradients(rho=0.5, adaptive=True, eta=0.01, scope=scope)[0].items():
        torch.testing.assert_close(value, weights_of(model).grads()[name])


@pytest.mark.parametrize("adaptive", [False, True])
def test_trains_as_pytorch_optimizers(adaptive: bool) -> None:
    """Three steps with momentum; a network without batch norm, whose statistics the other updates twice."""
    ends = []
    for ours in (True, False):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
        params = dict(model.named_parameters())
        weights = Weights(params, {}, dict.fromkeys(params, "weight"))
        if ours:
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        else:
            optimizer = SAM(model.parameters(), torch.optim.SGD, rho=0.05, adaptive=adaptive, lr=0.1, momentum=0.9)
        for step in range(3):
            fill = filling(model, weights, step % 2)
            if ours:
                sam(0.05, adaptive, eta=0.0).wrap(fill, weights)()
                optimizer.step()
            else:
                fill()
                optimizer.first_step(zero_grad=True)
                fill()
                optimizer.second_step(zero_grad=True)
        ends.append([p.detach() for p in model.parameters()])
    for mine, other in zip(*ends, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("adaptive", [False, True])
def test_rho_0_is_plain_bit_for_bit_and_the_default_is_not(adaptive: bool) -> None:
    expected = plain()[0]
    off, on = gradients(rho=0.0, adaptive=adaptive)[0], gradients(adaptive=adaptive)[0]
    assert all(torch.equal(off[name], value) for name, value in expected.items())
    assert not any(torch.equal(on[n], v) for n, v in expected.items() if n != "0.bias")  # 0.bias: none, before a norm


def test_weights_are_restored_bit_for_bit_and_the_first_pass_is_reported() -> None:
    model = network()
    weights = weights_of(model)
    before = {name: p.detach().clone() for name, p in weights.params.items()}
    tensors = {**weights.params, **weights.buffers}
    step = sam(rho=10.0).wrap(filling(model, weights), weights)()
    assert all(torch.equal(weights.params[name], value) for name, value in before.items())
    assert all(now is tensors[name] for name, now in {**weights.params, **weights.buffers}.items())
    assert torch.equal(step.loss, plain()[2].loss)


def test_weights_are_restored_when_the_second_pass_is_interrupted() -> None:
    model = network()
    weights = weights_of(model)
    before = [p.detach().clone() for p in weights.params.values()]
    fill, calls = filling(model, weights), []

    def interrupted() -> Step:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return fill()

    with pytest.raises(KeyboardInterrupt):
        sam().wrap(interrupted, weights)()
    assert all(torch.equal(p, value) for p, value in zip(weights.params.values(), before, strict=True))


def test_running_statistics_follow_the_first_pass_or_both() -> None:
    alone, first, both = plain()[1], gradients(rho=1.0)[1], gradients(rho=1.0, stats="both")[1]
    for name, value in alone.buffers.items():
        assert torch.equal(first.buffers[name], value)
        assert not torch.equal(both.buffers[name], value)
    assert both.buffers["1.num_batches_tracked"] == 2


@pytest.mark.parametrize("adaptive", [False, True])
def test_lanes_are_single_seeds(adaptive: bool) -> None:
    models = [network(seed) for seed in range(3)]
    states = [m.state_dict() for m in models]
    stacked: Tensors = {name: torch.stack([s[name] for s in states]) for name in states[0]}
    params = {name: nn.Parameter(stacked[name]) for name in KINDS}
    lanes = Weights(params, {n: v for n, v in stacked.items() if n not in KINDS}, KINDS, lanes=3)

    def fill() -> Step:
        for p in params.values():
            p.grad = None

        def one(tensors: Tensors) -> Tensor:
            return nn.functional.cross_entropy(functional_call(models[0], tensors, (X[0],)), Y[0])

        losses = torch.vmap(one)({**params, **lanes.buffers})
        losses.sum().backward()
        return Step(losses.detach(), torch.zeros(3))

    sam(0.5, adaptive).wrap(fill, lanes)()
    for i in range(3):
        single = weights_of(network(i))
        sam(0.5, adaptive).wrap(filling(models[i], single), single)()
        for name, value in single.grads().items():
            torch.testing.assert_close(lanes.grads()[name][i], value, rtol=1e-4, atol=1e-6)
        for name, value in single.all().items():
            torch.testing.assert_close(lanes.all()[name][i], value)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [({"rho": -0.1}, "rho"), ({"eta": -1.0}, "eta"), ({"stats": "second"}, "stats"), ({"scope": "none"}, "scope")],
)
def test_refuses(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named}: "):
        sam(**arguments)
