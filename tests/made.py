"""Configurations with a part that a test has made, in place of an option or beside the options."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tiny import SMALL_MODEL, TINY, config
from torch import Tensor, nn

from ablation.errors import ConfigError
from ablation.trial.parts import parts
from ablation.types import Aug, Model, Pass, Weights

PLAIN = config(*TINY, *SMALL_MODEL)
MADE: dict[str, Any] = {}


def make(name: str) -> Any:
    """The factory of every option here: what the test has put under this name."""
    return MADE[name]


def used(group: str, part: Any, **others: Any) -> dict[str, Any]:
    """A configuration with this part as `group.mine`, or as the group's one option."""
    MADE[name := f"{group}-{len(MADE)}"] = part
    node = {"_target_": f"{__name__}.make", "name": name}
    many = group in ("aug", "regularizer", "init", "track")
    return {**PLAIN, group: {"mine": node} if many else node, **others}


def refusal(group: str, part: Any, **others: Any) -> str:
    """What is said of it before any data are loaded."""
    with pytest.raises(ConfigError) as refused:
        parts(used(group, part, **others))
    said = str(refused.value)
    assert len(said.splitlines()) < 24, "one screen"
    return said


def x_of(change: Callable[[Tensor], Tensor]) -> Aug:
    return lambda batch, key: batch._replace(x=change(batch.x))


def squares(given: Pass) -> Tensor:
    return (given.logits - given.batch.y).square().mean()


class Linear(Model):
    """A model of one's own, with whatever is wrong with it."""

    def __init__(self, classes: int, features: Callable[[Tensor], Any] = lambda f: f) -> None:
        super().__init__()
        self.layer, self.head, self.change = nn.Linear(3, 8), nn.Linear(8, classes), features

    def features(self, x: Tensor) -> Tensor:
        found: Tensor = self.change(self.layer(x.mean((2, 3))))
        return found


def modelled(build: Callable[[int], Any]) -> dict[str, Any]:
    MADE[name := f"model-{len(MADE)}"] = build
    return {**PLAIN, "model": {"_target_": f"{__name__}.make_model", "name": name}}


def make_model(classes: int, channels: int, size: int, name: str) -> Any:
    return MADE[name](classes)


def optimized(build: Callable[[Weights], Any]) -> dict[str, Any]:
    MADE[name := f"optim-{len(MADE)}"] = build
    return {**PLAIN, "optim": {"_target_": f"{__name__}.make_optimizer", "name": name, "lr": 0.1}}


def make_optimizer(weights: Weights, name: str, lr: float) -> Any:
    return MADE[name](weights)


def all_of(weights: Weights) -> list[Tensor]:
    return list(weights.params.values())


def scheduled(schedule: Any) -> dict[str, Any]:
    MADE[name := f"sched-{len(MADE)}"] = schedule
    return {**PLAIN, "sched": {"_target_": f"{__name__}.make_schedule", "name": name}}


def make_schedule(epochs: int, lr: float, name: str) -> Any:
    return MADE[name]
