"""One real step of a configuration, without the trial around it: no files, no evaluation, images loaded once."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache
from typing import Any

import torch

from ablation.build import build
from ablation.data.check import check
from ablation.key import Key
from ablation.machine.precision import Precision, choose_precision
from ablation.state import State
from ablation.train import Plan, Recorder, train
from ablation.trial.parts import parts
from ablation.trial.prepare import prepare
from ablation.trial.teacher_weights import untrained
from ablation.types import Data, Split

CLASSES = {"cifar100": 100, "imagenet": 1000, "places365": 365}
CPU = choose_precision("fp32", torch.device("cpu"))


class Enough(Exception):
    """As many steps as were asked for are done."""


class Few(Recorder):
    """Ends the training after some steps."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def step(self, state: State) -> None:
        self.left -= 1
        if not self.left:
            raise Enough

    def epoch(self, state: State) -> None:
        pass


@cache
def images(node: str) -> Data:
    """Of a data node in JSON."""
    data: Data = build(json.loads(node), "data")
    return data


def begun(
    config: Mapping[str, Any], data: Data | None = None, precision: Precision = CPU, seeds: Sequence[int] = (0,)
) -> tuple[Plan, State]:
    """The plan and the state at step 0, of several seeds fused; a teacher is one that has not been trained."""
    built, data = parts(config), data or images(json.dumps(config["data"]))
    baseline = {**config, "loss": {"_target_": "ablation.loss.ce.ce"}, "regularizer": {}}
    taught = untrained(baseline, data, precision) if config["teacher"] else None
    if taught and len(seeds) > 1:
        taught = replace(taught, weights={n: torch.stack([w] * len(seeds)) for n, w in taught.weights.items()})
    return prepare(config, built, data, precision, seeds, taught)


def stepped(plan: Plan, state: State, steps: int = 1) -> float:
    """Train so many steps from where the state is; the loss of the last."""
    with suppress(Enough):
        train(plan, state, Few(steps))
    return float(state.losses[..., (state.step - 1) % plan.steps_per_epoch])


def imitation(node: Mapping[str, Any], count: int = 16, size: int | None = None) -> Data:
    """Random images in place of a data set's: as large as its own, as many classes, the same view."""
    name, side = node["_target_"].rpartition(".")[2], size or node.get("size") or 32
    choice = check(**{key: node[key] for key in inspect.signature(check).parameters if key in node})
    key, classes = Key.root(0), CLASSES.get(name, 10)
    x = (key.fold("x").uniform(count, side, side, 3) * 256).to(torch.uint8)
    split = Split(x, (key.fold("y").uniform(count) * classes).long())
    names = tuple(map(str, range(classes)))
    return Data(name, names, split, split, None, choice.view, torch.full((3,), 0.5), torch.full((3,), 0.25))
