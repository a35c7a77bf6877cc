"""From a configuration to the parts of a trial: everything that needs no data first, so that mistakes cost nothing."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import nn

from ablation.build import build, build_all, factory
from ablation.config import Scalars, scalars
from ablation.data.check import check_arguments
from ablation.errors import ConfigError
from ablation.key import Key
from ablation.learner import Learner, Teacher
from ablation.precision import Precision
from ablation.types import Aug, Average, Data, Grad, Init, Model, Noise, Penalty, Schedule, Taught, Term, Weights, Wrap


@dataclass(frozen=True)
class Parts:
    """The objects that a configuration names, but for the data, the model and the optimiser."""

    scalars: Scalars
    augs: dict[str, Aug]
    loss: Term | Taught
    schedules: dict[str, Schedule]
    inits: dict[str, Init]
    noise: dict[str, Any]  # join=, drop= for the model
    penalties: dict[str, Penalty]
    grads: dict[str, Grad]
    wraps: dict[str, Wrap]
    averages: dict[str, Average]


def parts(config: Mapping[str, Any]) -> Parts:
    """Build and check all that needs no data.

    Raises:
        ConfigError: names the key, the value and the way out.
    """
    top = scalars(config)
    fields = _optimizer_fields(config)
    regularizers = build_all(config["regularizer"], "regularizer")
    built = Parts(
        scalars=top,
        augs=build_all(config["aug"], "aug"),
        loss=_loss(config["loss"], top.teacher),
        schedules=build(config["sched"], "sched", epochs=top.epochs, lr=config["optim"]["lr"]),
        inits=build_all(config["init"], "init"),
        noise=_noise(regularizers),
        penalties={n: r for n, r in regularizers.items() if isinstance(r, Penalty)},
        grads={n: r for n, r in regularizers.items() if isinstance(r, Grad)},
        wraps={n: r for n, r in regularizers.items() if isinstance(r, Wrap)},
        averages={n: r for n, r in regularizers.items() if isinstance(r, Average)},
    )
    _try_data(config)
    size = config["data"].get("size", 32)
    _try_model(json.dumps({"model": config["model"], "regularizer": config["regularizer"], "size": size}))
    for name in built.schedules:
        if name not in fields:
            raise ConfigError(f"sched: schedules {name!r}, which {config['optim']['_target_']} does not have")
    return built


def _loss(node: Mapping[str, Any], teacher: str | None) -> Term | Taught:
    loss: Term | Taught = build(node, "loss")
    if isinstance(loss, Taught) and teacher is None:
        ways = "teacher=same, teacher='model=resnet56 epochs=30' or the id of a run"
        raise ConfigError(f"loss: {node['_target_']} learns from a teacher; name one by {ways}, or choose loss=ce")
    if teacher is not None and not isinstance(loss, Taught):
        ways = "choose one that does, such as loss=distill, or teacher=null"
        raise ConfigError(f"teacher={teacher}: {node['_target_']} learns from no teacher; {ways}")
    return loss


def _noise(regularizers: Mapping[str, Any]) -> dict[str, Any]:
    chosen: dict[str, Any] = {}
    for name, noise in regularizers.items():
        if not isinstance(noise, Noise):
            continue
        for place, layer in (("join", noise.join), ("drop", noise.drop)):
            if layer is not None and place in chosen:
                raise ConfigError(
                    f"regularizer.{name}: another regularizer has taken the model's `{place}`; choose one"
                )
            if layer is not None:
                chosen[place] = layer
    return chosen


def build_model(config: Mapping[str, Any], noise: Mapping[str, Any], classes: int, channels: int, size: int) -> Model:
    """The model with its noise; uses torch's global generator for the default initialisation.

    Raises:
        ConfigError: bad arguments, or a regularizer inside the blocks of a model that has no place for it.
    """
    accepted = inspect.signature(factory(config["model"], "model")).parameters
    for place in noise:
        if place not in accepted:
            raise ConfigError(f"model: {config['model']['_target_']} takes no `{place}`, which a regularizer needs")
    model: Model = build(config["model"], "model", classes=classes, channels=channels, size=size, **noise)
    return model


def build_network(config: Mapping[str, Any], classes: int, channels: int, size: int) -> Model:
    """The model as it is trained, with what regularizers change in it; uses torch's global generator.

    Raises:
        ConfigError: as `build_model`.
    """
    regularizers = build_all(config["regularizer"], "regularizer")
    model = build_model(config, _noise(regularizers), classes, channels, size)
    for regularizer in regularizers.values():
        if isinstance(regularizer, Wrap):
            model = regularizer.apply(model)
    return model


def _try_data(config: Mapping[str, Any]) -> None:
    try:
        check_arguments(config["data"])
    except ValueError as e:
        raise ConfigError(f"data.{e}") from e


@lru_cache(maxsize=1024)
def _try_model(text: str) -> None:
    """Build the model without its memory. `text` is JSON of all that it depends on: a grid of rates tries it once."""
    config = json.loads(text)
    with torch.device("meta"):
        build_network(config, classes=10, channels=3, size=config["size"])


def _optimizer_fields(config: Mapping[str, Any]) -> set[str]:
    """What can be scheduled. Builds the optimiser of one parameter, and first: a bad `lr` is its to refuse."""
    optimizer = build_optimizer(config, Weights({"weight": nn.Parameter(torch.zeros(1))}, {}, {"weight": "weight"}))
    return set(optimizer.param_groups[0])


def build_optimizer(config: Mapping[str, Any], weights: Weights) -> torch.optim.Optimizer:
    """The optimiser over these weights."""
    optimizer: torch.optim.Optimizer = build(config["optim"], "optim", weights=weights)
    return optimizer


@contextmanager
def seeded(key: Key) -> Iterator[None]:
    """Inside, torch's global CPU generator is a function of the key; outside, it is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(key.word))
        yield


def build_learner(
    config: Mapping[str, Any], built: Parts, data: Data, precision: Precision, root: Key, teacher: Teacher | None = None
) -> Learner:
    """A learner whose initial weights are a function of the seed, on the device."""
    _, size, _, channels = data.train.x.shape
    with seeded(root.fold("model")):
        model = build_model(config, built.noise, classes=len(data.classes), channels=channels, size=size)
    for name, init in built.inits.items():
        try:
            init(model, root.fold("init").fold(name))
        except ValueError as e:
            raise ConfigError(f"init.{name}: {e}") from e
    # After the inits, which otherwise would draw other numbers for a wrapped layer than for the baseline's.
    with seeded(root.fold("regularizer")):
        for wrap in built.wraps.values():
            model = wrap.apply(model)
        penalties = {name: penalty.attach(model) for name, penalty in built.penalties.items()}
    learner = Learner(model, data, built.augs, {"loss": built.loss, **penalties}, precision, teacher)
    return learner.to(precision.device).to(memory_format=torch.channels_last)
