"""What is clipped: the gradient that the optimiser is given is no longer than `max_norm`, whatever is around it."""

from __future__ import annotations

import json
from contextlib import suppress
from itertools import permutations

import pytest
import torch
from one_step import CPU, Enough, Few, images
from tiny import SMALL_MODEL, TINY, config, options

from ablation.build import build
from ablation.regularizer._norm import global_norm
from ablation.train import train
from ablation.trial.parts import parts
from ablation.trial.prepare import prepare
from ablation.types import Grad

MAX = 0.1  # far less than any gradient here
TIGHT = {"cotrain", "sam"}  # beside which a clipped gradient, in either order, is as long as is allowed


def around(name: str) -> bool:
    """Whether an option wraps the gradient."""
    made = build(config(f"regularizer={name}")["regularizer"][name], name)
    return any(isinstance(part, Grad) for part in (made if isinstance(made, tuple) else (made,)))


WRAPPERS = [name for name in options("regularizer") if around(name)]
ORDERS = [order for name in WRAPPERS if name != "clip" for order in permutations(("clip", name))]
ORDERS += [tuple(WRAPPERS), tuple(reversed(WRAPPERS))]


def norms(order: tuple[str, ...], *seeds: int, **others: int) -> torch.Tensor:
    """The norm of the gradient that the optimiser is given in the first step, of each seed."""
    row = [*TINY, *SMALL_MODEL, f"regularizer=[{','.join(order)}]"]
    row += [f"regularizer.clip.max_norm={MAX}"] * ("clip" in order)
    settings = config(*row, *(f"regularizer.cotrain.{key}={value}" for key, value in others.items()))
    plan, state = prepare(settings, parts(settings), images(json.dumps(settings["data"])), CPU, list(seeds))
    with suppress(Enough):
        train(plan, state, Few(1))
    return global_norm(state.weights.grads()) if not seeds[1:] else torch.vmap(global_norm)(state.weights.grads())


def test_there_are_some() -> None:
    assert {"clip", "sam", "centralise", "cotrain"} <= set(WRAPPERS)


@pytest.mark.parametrize("seeds", [(0,), (0, 1)], ids=["single", "fused"])
@pytest.mark.parametrize("order", ORDERS, ids="-".join)
def test_no_order_gives_the_optimiser_a_longer_gradient(order: tuple[str, ...], seeds: tuple[int, ...]) -> None:
    found = norms(order, *seeds)
    assert (found <= MAX * 1.0001).all(), found
    if set(order) <= {"clip", *TIGHT}:
        assert (found >= MAX * 0.999).all(), found


def test_with_cotrain_it_is_the_gradient_that_each_network_has_alone() -> None:
    """Of as many networks as there may be; not divided by their number, which the mean over all rows would do."""
    free = norms(("cotrain",), 0)
    assert free > 2 * MAX
    for splits in (2, 4):
        for order in (("clip", "cotrain"), ("cotrain", "clip")):
            assert norms(order, 0, splits=splits).item() == pytest.approx(MAX, rel=1e-3)
