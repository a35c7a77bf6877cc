"""Optimisers."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import torch

from ablation.contract.generators import TORCH, watched
from ablation.contract.sample import Network, Shape
from ablation.contract.shown import a, shown
from ablation.contract.subject import Subject, differences
from ablation.state import State, pack, unpack
from ablation.types import Tensors, Weights

OPTIMIZER = "a factory (weights, ...) -> torch.optim.Optimizer over all of weights.params, with defaults['lr']"
_MOVES = 1e-3  # a learning rate that is seen in float32


def check_optimizer(subject: Subject, make: Callable[[Weights], Any], shape: Shape) -> None:
    """Try an optimiser: two steps, and the same with its state saved and loaded between them.

    Raises:
        ConfigError: it breaks its contract.
    """
    saved: list[dict[str, Any]] = []

    def call(i: int) -> Tensors:
        network = Network(shape)
        optimizer = check_groups(subject, make(network.weights), network.weights)
        state = State(network.weights, optimizer, {}, torch.zeros(1), torch.zeros(1))
        before = network.copies()
        if saved:  # the second time it goes on from what the first had saved after a step
            unpack(state, saved)
        else:
            _step(subject, state, 1)
            saved.append(deepcopy(pack(state, 0)))
        _step(subject, state, 2)
        after = network.copies()
        # A rate that moves nothing or too far is for the training to show.
        if optimizer.defaults["lr"] >= _MOVES and all(
            torch.equal(before[name], after[name]) for name in network.weights.params
        ):
            raise subject.breach("changes no weight in two steps")
        return after

    with watched() as drawn:
        first, second = call(0), call(1)
    subject.draws_from(drawn - {TORCH})  # which is seeded for each step
    if differs := differences(first, second):
        what = "takes another step when its state was saved and loaded, or when it is asked again"
        wanted = "all that it remembers in optimizer.state or its groups, as tensors and numbers; nothing drawn"
        raise subject.breach(what, returned=differs, wanted=wanted)


def _step(subject: Subject, state: State, number: int) -> None:
    """One step along gradients that are made up."""
    for name, p in state.weights.params.items():
        p.grad = torch.linspace(-0.1, 0.1 * number, p.numel()).reshape(p.shape) + 0.01 * (len(name) % 3)
    torch.default_generator.manual_seed(number)
    subject.call(state.optimizer.step)


def check_groups(subject: Subject, optimizer: Any, weights: Weights) -> torch.optim.Optimizer:
    """An optimiser of all of these weights.

    Raises:
        ConfigError: it is none.
    """
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise subject.breach(f"returned {a(optimizer)}, not an optimiser", returned=shown(optimizer))
    rate = optimizer.defaults.get("lr")
    if isinstance(rate, bool) or not isinstance(rate, int | float):
        raise subject.breach("has no number as defaults['lr']", returned=shown(rate), wanted="the learning rate")
    names = {id(p): name for name, p in weights.params.items()}
    given = [id(p) for group in optimizer.param_groups for p in group["params"]]
    missing = [name for i, name in names.items() if given.count(i) != 1]
    if missing or set(given) - names.keys():
        what = (
            f"has not every parameter once: {', '.join(missing)}" if missing else "has parameters that are not trained"
        )
        raise subject.breach(what, wanted="weights.params.values(), in any number of groups")
    return optimizer
