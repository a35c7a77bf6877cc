"""What every optimiser must do."""

from typing import Any

import pytest
import torch
from stepping import EVERY, chosen, ends, go, lanes, network, weights

from ablation.state import State, pack, unpack
from ablation.types import Weights


def state(given: Weights, optimizer: torch.optim.Optimizer) -> State:
    shape = (1,) if given.lanes is None else (given.lanes, 1)
    return State(given, optimizer, {}, torch.zeros(shape), torch.zeros(shape))


@pytest.mark.parametrize("option", EVERY)
def test_lanes_are_the_single_networks(option: str) -> None:
    make, seeds = chosen(option, weight_decay=0.1), (3, 5)
    together = lanes([network(s) for s in seeds])
    go(together, make(together), range(3), seeds)
    for lane, seed in enumerate(seeds):
        alone = weights(network(seed))
        go(alone, make(alone), range(3), [seed])
        for name, p in alone.params.items():
            torch.testing.assert_close(together.params[name][lane], p, rtol=1e-5, atol=2e-4, msg=name)


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("option", EVERY)
def test_resumes_bit_for_bit(option: str, count: int) -> None:
    make, seeds = chosen(option), (3, 5)[:count]

    def fresh() -> State:
        models = [network(s) for s in seeds]
        given = lanes(models) if count > 1 else weights(models[0])
        return state(given, make(given))

    straight, before, after = fresh(), fresh(), fresh()
    go(straight.weights, straight.optimizer, range(4), seeds)
    go(before.weights, before.optimizer, range(2), seeds)
    unpack(after, [pack(before, lane) for lane in range(count)])
    go(after.weights, after.optimizer, range(2, 4), seeds)
    for name, p in straight.weights.params.items():
        assert torch.equal(p, after.weights.params[name]), name


@pytest.mark.parametrize("option", EVERY)
def test_a_scaled_rate_is_that_rate(option: str) -> None:
    """Of everything that is a rate, and what is stepped does not change its gradient."""
    rates = [("lr", 0.01), *([("rest_lr", 0.02)] if option == "muon" else [])]
    plain: dict[str, Any] = {name: rate / 2 for name, rate in rates}
    if option == "adabound":
        plain["final_lr"] = 0.05
    scaled = ends(chosen(option, **dict(rates), lr_scaling="linear", batch_size=128))
    expected = ends(chosen(option, **plain))
    assert all(torch.equal(scaled[name], p) for name, p in expected.items())
    assert not all(torch.equal(p, ends(chosen(option, **dict(rates)))[name]) for name, p in expected.items())


@pytest.mark.parametrize("option", EVERY)
def test_layer_decay_slows_all_but_the_head(option: str) -> None:
    """Units of the network: convolution with its norm; the gain; a linear layer; the head."""
    given = weights(network())
    groups = chosen(option, layer_decay=0.5)(given).param_groups
    rates = {id(p): group["lr"] for group in groups for p in group["params"]}
    base = chosen(option)(given).param_groups
    full = {id(p): group["lr"] for group in base for p in group["params"]}
    depth = {"body.0": 3, "body.1": 3, "body.2": 2, "body.3": 1, "head": 0}
    assert len(rates) == len(given.params)
    assert groups[0]["lr"] == base[0]["lr"] * (0.5 if option == "muon" else 1), "the rate that is shown"
    for name, p in given.params.items():
        assert rates[id(p)] == full[id(p)] * 0.5 ** depth[name.rpartition(".")[0]]


@pytest.mark.parametrize("option", EVERY)
def test_gradients_are_left_as_they_are_and_some_may_be_missing(option: str) -> None:
    given = weights(network())
    optimizer = chosen(option, weight_decay=0.1)(given)
    go(given, optimizer, [0])
    grads = {name: g.clone() for name, g in given.grads().items()}
    given.params["body.0.weight"].grad = None
    before = given.params["body.0.weight"].detach().clone()
    optimizer.step()
    assert torch.equal(before, given.params["body.0.weight"])
    assert all(torch.equal(g, grads[name]) for name, g in given.grads().items())


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"lr": 0}, "lr"),
        ({"lr": float("inf")}, "lr"),
        ({"weight_decay": -1e-4}, "weight_decay"),
        ({"no_decay": ["biases"]}, "no_decay: there is no 'biases'; did you mean bias"),
        ({"no_decay": "bias"}, r"no_decay: 'bias' is not a list; write \[bias\]"),
        ({"layer_decay": 0}, "layer_decay"),
        ({"layer_decay": 1.1}, "layer_decay"),
        ({"lr_scaling": "root"}, "lr_scaling: there is no 'root'; did you mean sqrt"),
        ({"lr_scaling": "linear", "lr_batch": 0}, "lr_batch"),
    ],
)
@pytest.mark.parametrize("option", EVERY)
def test_refuses(option: str, arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named}"):
        chosen(option, **arguments)(weights(network()))
