from typing import Any

import pytest
import torch
from pytorch_optimizer import Lookahead
from torch import Tensor, nn

from ablation.average import Moment
from ablation.regularizer.lookahead import lookahead
from ablation.types import Tensors

G = torch.Generator().manual_seed(0)
X, Y = torch.randn(4, 16, 6, generator=G), torch.randint(3, (4, 16), generator=G)
STEPS = 13


def live(model: nn.Module) -> Tensors:
    return {name: w.detach() for name, w in model.state_dict(keep_vars=True).items()}


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 3))


def descend(model: nn.Module, optimizer: Any, step: int) -> None:
    model.zero_grad()
    nn.functional.cross_entropy(model(X[step % 4]), Y[step % 4]).backward()
    optimizer.step()


def sgd(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-2)


def trained(k: int, alpha: float, steps: int = STEPS) -> tuple[nn.Module, Tensors]:
    model = network()
    optimizer, average = sgd(model), lookahead(k, alpha)
    state = average.begin(live(model))
    for step in range(steps):
        descend(model, optimizer, step)
        average.update(state, live(model), Moment(step, steps, steps))
    return model, average.weights(state)


@pytest.mark.parametrize(("k", "alpha"), [(5, 0.5), (3, 0.8), (1, 0.5)])
def test_is_pytorch_optimizers_fast_and_slow(k: int, alpha: float) -> None:
    theirs = network()
    optimizer = Lookahead(sgd(theirs), k=k, alpha=alpha, pullback_momentum="none")
    for step in range(STEPS):
        descend(theirs, optimizer, step)
    ours, slow = trained(k, alpha)
    for (name, p), q in zip(theirs.named_parameters(), ours.parameters(), strict=True):
        torch.testing.assert_close(q, p)
        torch.testing.assert_close(slow[name], optimizer.state[p]["slow_params"])
        assert torch.equal(slow[name], q) == (STEPS % k == 0)


def test_statistics_are_the_fast_ones() -> None:
    model, slow = trained(5, 0.5)
    assert all(torch.equal(slow[name], value) for name, value in model.named_buffers())
    assert not torch.equal(slow["1.running_mean"], torch.zeros(8))


def test_alpha_1_leaves_the_training_as_it_is_bit_for_bit_and_the_default_does_not() -> None:
    plain = network()
    optimizer = sgd(plain)
    for step in range(STEPS):
        descend(plain, optimizer, step)
    off, on = trained(5, 1.0)[0], trained(5, 0.5)[0]
    for p, q, r in zip(plain.parameters(), off.parameters(), on.parameters(), strict=True):
        assert torch.equal(p, q)
        assert not torch.equal(p, r)


def test_all_of_the_state_is_in_the_dict_and_changes_in_place() -> None:
    """Another instance goes on from the tensors alone, in the middle of a round."""
    state = lookahead(2).begin({"w": torch.zeros(3)})
    kept, moves = state["w"], torch.tensor([1.0, -2.0, 4.0])
    w = {"w": torch.zeros(3)}
    for step in range(4):
        w["w"] += moves
        lookahead(2).update(state, w, Moment(step, 4, 4))
    assert state["w"] is kept
    expected: Tensor = 2 * moves  # half of two moves, twice
    assert torch.equal(state["w"], expected)
    assert torch.equal(w["w"], expected)


@pytest.mark.parametrize(("arguments", "named"), [({"k": 0}, "k"), ({"k": 2.5}, "k"), ({"alpha": 0.0}, "alpha")])
def test_refuses(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named}: "):
        lookahead(**arguments)
