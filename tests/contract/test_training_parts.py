"""What trains a model is tried before anything is trained: averages, gradients, inits, optimisers and schedules."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made import PLAIN, all_of, optimized, refusal, scheduled, used
from tiny import run
from torch import nn

from ablation.average import Average, Moment
from ablation.contract.check import check
from ablation.contract.sample import Shape
from ablation.errors import ConfigError
from ablation.key import Key
from ablation.trial.parts import build_optimizer, parts
from ablation.types import Fill, Grad, Repeat, Schedule, Step, Tensors, Weights


class Replaced(Average):
    """Forgets to change its state in place."""

    def begin(self, weights: Tensors) -> Tensors:
        return {name: w.clone() for name, w in weights.items()}

    def update(self, state: Tensors, weights: Tensors, moment: Moment) -> Any:
        return weights

    def weights(self, state: Tensors) -> Tensors:
        return state


class Live(Replaced):
    def begin(self, weights: Tensors) -> Tensors:
        return dict(weights)


class Hidden(Replaced):
    """Counts where a checkpoint does not see it."""

    count = 0

    def update(self, state: Tensors, weights: Tensors, moment: Moment) -> None:
        self.count += 1
        for name, w in weights.items():
            if w.is_floating_point():
                state[name].lerp_(w, 1 / self.count)


class Half(Replaced):
    def update(self, state: Tensors, weights: Tensors, moment: Moment) -> None:
        pass

    def weights(self, state: Tensors) -> Tensors:
        return {name: w for name, w in state.items() if "head" in name}


@pytest.mark.parametrize(
    ("average", "said"),
    [
        (Replaced(), "update returned a dict, which nobody reads"),
        (Live(), "begin returned the live weights as"),
        (Hidden(), "gives two answers for one key"),
        (Half(), "weights returned other names than begin was given"),
    ],
)
def test_a_bad_average_is_refused(average: Average, said: str) -> None:
    assert refusal("regularizer", average).startswith(f"regularizer.mine: {said}")


def moving(fill: Fill, weights: Weights) -> Fill:
    def filled() -> Step:
        with torch.no_grad():
            for p in weights.params.values():
                p.mul_(0.9)
        return fill()

    return filled


def noisy(fill: Fill, weights: Weights) -> Fill:
    def filled() -> Step:
        step = fill()
        for g in weights.grads().values():
            g.mul_(float(np.random.rand()))
        return step

    return filled


def silent(fill: Fill, weights: Weights) -> Any:
    return lambda: fill() and None


def dropping(fill: Fill, weights: Weights) -> Fill:
    def filled() -> Step:
        step = fill()
        weights.params["model.conv.weight"].grad = None
        return step

    return filled


@pytest.mark.parametrize(
    ("wrap", "said"),
    [
        (moving, "moves model.conv.weight"),
        (noisy, "is no function of its key: it draws from numpy's global generator"),
        (silent, "its fill returned None, not a Step"),
        (dropping, "leaves model.conv.weight without a gradient"),
        (lambda fill, weights: fill(), "is a Step, which cannot be called"),
        (lambda fill: fill, "takes other arguments than it is given"),
    ],
)
def test_a_bad_wrapper_of_the_gradient_is_refused(wrap: Any, said: str) -> None:
    assert refusal("regularizer", Grad(wrap)).startswith(f"regularizer.mine: {said}")


def test_repeats_are_whole_numbers() -> None:
    assert "regularizer.mine: repeats 0 times" in refusal("regularizer", Repeat(0))


def fill_global(model: nn.Module, key: Key) -> None:
    for p in model.parameters():
        nn.init.normal_(p)


def fill_keyed(model: nn.Module, key: Key) -> None:
    for name, p in model.named_parameters():
        nn.init.normal_(p, generator=key.fold(name).generator())


def test_inits_are_functions_of_their_key_and_return_nothing() -> None:
    assert "init.mine: is no function of its key: it draws from torch's" in refusal("init", fill_global)
    assert "init.mine: returned a StandIn, which nobody reads" in refusal("init", lambda model, key: model)
    assert "init.mine: takes other arguments" in refusal("init", lambda model: None)
    parts(used("init", fill_keyed))


class Remembering(torch.optim.SGD):
    """Keeps what it needs where no checkpoint sees it."""

    steps = 0

    def step(self, closure: Any = None) -> Any:
        self.steps += 1
        for group in self.param_groups:
            group["lr"] = 0.1 / self.steps
        return super().step()


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda weights: all_of(weights), "returned a list, not an optimiser"),
        (lambda weights: torch.optim.SGD([torch.zeros(1)], 0.1), "has not every parameter once"),
        (lambda weights: torch.optim.SGD(all_of(weights)[:2], 0.1), "has not every parameter once: model.norm"),
        (lambda weights: Remembering(all_of(weights), 0.1), "takes another step when its state was saved and loaded"),
        (lambda weights: torch.optim.SGD(all_of(weights), 0.1, momentum=0.9), ""),
        (lambda weights: torch.optim.NAdam(all_of(weights), 0.1), ""),
    ],
)
def test_optimisers(build: Callable[[Weights], Any], said: str) -> None:
    if not said:
        parts(optimized(build))
        return
    with pytest.raises(ConfigError) as refused:
        parts(optimized(build))
    assert str(refused.value).startswith(f"optim: {said}")


@pytest.mark.parametrize("lr", [1e30, 1e-30])
def test_a_rate_that_is_no_good_is_for_the_training_to_show(lr: float) -> None:
    parts(optimized(lambda weights: torch.optim.SGD(all_of(weights), lr)))
    check({**PLAIN, "optim": {**PLAIN["optim"], "lr": lr}}, Shape(10, 3, 32, 32, True), build_optimizer)


def stateful() -> Schedule:
    calls: list[float] = []
    return lambda t: 1 / (len(calls.append(t) or calls))  # type: ignore[func-returns-value]


@pytest.mark.parametrize(
    ("schedules", "said"),
    [
        (lambda t: 1.0, "returned a function, not a dict"),
        ({"lr": lambda t: -t}, "returned -0.015625 at t=0.015625 of lr"),
        ({"lr": lambda t: float("nan")}, "returned nan at t=0 of lr"),
        ({"lr": lambda t: torch.tensor(1.0)}, "returned Tensor () float32 at t=0 of lr"),
        ({"lr": lambda t: 1 / t}, "raised ZeroDivisionError: float division by zero at t=0"),
        ({"lr": stateful()}, "gives two answers for t=0 of lr"),
        ({"lr": lambda: 1.0}, "takes other arguments than it is given"),
    ],
)
def test_schedules(schedules: Any, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parts(scheduled(schedules))
    assert str(refused.value).startswith(f"sched: {said}")


@pytest.mark.parametrize("fuse", [False, True])
def test_a_schedule_is_asked_at_each_step_before_the_first(tmp_path: Path, fuse: bool) -> None:
    """A third of the training is none of the points that are asked while the steps are unknown."""
    wrong = scheduled({"lr": lambda t: -1.0 if abs(t - 1 / 3) < 1e-6 else 1.0})
    parts(wrong)
    with pytest.raises(ConfigError, match=r"^sched: returned -1.0 at t=0.333333 of lr"):
        run({**wrong, "fuse": fuse, "seeds": [0, 1] if fuse else [0]}, tmp_path)
    assert not list(tmp_path.glob("seed-*/*/last.pt"))
