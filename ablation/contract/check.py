"""All parts of a configuration, each tried once for what it depends on."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any

from ablation.build import build_all
from ablation.config import MANY
from ablation.contract.averages import AVERAGE, check_average
from ablation.contract.grads import GRAD, check_grad
from ablation.contract.inits import INIT, check_init
from ablation.contract.networks import NOISE, check_noise
from ablation.contract.optimizers import OPTIMIZER, check_optimizer
from ablation.contract.passing import images, terms
from ablation.contract.sample import KEPT, Shape
from ablation.contract.subject import Raised, Subject, ours
from ablation.errors import ConfigError
from ablation.tricks import build_tricks
from ablation.types import Weights

MakeOptimizer = Callable[[Mapping[str, Any], Weights], Any]
Config = Mapping[str, Any]


def foreign(config: Config) -> bool:
    """Whether a configuration uses an option that is not this project's own."""
    single = [config[group] for group in ("model", "loss", "optim")]
    return not all(map(ours, [*single, *(node for g in MANY if g != "track" for node in config[g].values())]))


def check(config: Config, shape: Shape, make_optimizer: MakeOptimizer) -> tuple[str, ...]:
    """Try what a configuration names, but for its data, schedules and trackers; what is to be said of it.

    Raises:
        ConfigError: something breaks its contract.
    """
    text = {key: config[key] for key in ("aug", "regularizer", "fuse")}
    notes = images(json.dumps(text), shape)
    _regularizers(json.dumps(config["regularizer"]), shape)
    model = {} if all(map(ours, [config["model"], *config["regularizer"].values()])) else config["model"]
    notes += terms(json.dumps({**text, "loss": config["loss"], "model": model}), shape)
    _inits(json.dumps(config["init"]), shape)
    _optimizer(json.dumps({key: config[key] for key in ("optim", "batch_size")}), shape, make_optimizer)
    return notes


@lru_cache(maxsize=KEPT)
def _regularizers(text: str, shape: Shape) -> None:
    config = {"aug": {}, "regularizer": json.loads(text)}
    tricks = build_tricks(config)
    for name, grad in tricks.grads.items():
        check_grad(Subject.of(config, tricks.paths[name], GRAD), grad, shape)
    for name, average in tricks.averages.items():
        check_average(Subject.of(config, tricks.paths[name], AVERAGE), average, shape)
    for place, layer in tricks.noise.items():
        with suppress(Raised):  # of feature maps that the model may not have
            check_noise(_noisy(config, place), layer, place)


def _noisy(config: Config, place: str) -> Subject:
    """The option whose noise it is; which of several there are is not kept."""
    for name, node in config["regularizer"].items():
        alone = build_tricks({"aug": {}, "regularizer": {name: node}})
        if place in alone.noise:
            return Subject.of(config, f"regularizer.{name}", NOISE)
    raise AssertionError(place)


@lru_cache(maxsize=KEPT)
def _inits(text: str, shape: Shape) -> None:
    config = {"init": json.loads(text)}
    for name, init in build_all(config["init"], "init").items():
        try:
            check_init(Subject.of(config, f"init.{name}", INIT), init, shape)
        except ConfigError as e:
            if not (isinstance(e, Raised) or isinstance(e.__cause__, ValueError)):  # as of penalties
                raise


@lru_cache(maxsize=KEPT)
def _optimizer(text: str, shape: Shape, make: MakeOptimizer) -> None:
    config = json.loads(text)
    check_optimizer(Subject.of(config, "optim", OPTIMIZER), lambda weights: make(config, weights), shape)
