"""From a configuration to the parts of a trial: everything that needs no data first, so that mistakes cost nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import torch
from torch import nn

from ablation.build import build, build_all
from ablation.config import Scalars, scalars
from ablation.contract.check import check, foreign
from ablation.contract.inits import INIT, check_nothing
from ablation.contract.optimizers import OPTIMIZER, check_groups
from ablation.contract.sample import Shape
from ablation.contract.schedules import SCHEDULE, check_schedules
from ablation.contract.subject import Subject, ours
from ablation.data.check import check_arguments
from ablation.errors import ConfigError
from ablation.key import Key
from ablation.learner import Learner, Teacher
from ablation.machine.precision import Precision
from ablation.network import build_model, build_network, seeded, wrapped
from ablation.track.guarded import sinks
from ablation.tricks import Tricks, build_tricks
from ablation.types import Data, Init, Model, Noisy, Schedule, Taught, Term, Weights


@dataclass(frozen=True)
class Parts:
    """The objects that a configuration names, but for the data, the model and the optimiser."""

    scalars: Scalars
    tricks: Tricks
    loss: Term | Taught
    inits: dict[str, Init]
    schedules: dict[str, Schedule]  # as far as they are known before the data
    notes: tuple[str, ...] = ()  # what is to be said of somebody else's parts


def parts(config: Mapping[str, Any]) -> Parts:
    """Build and check all that needs no data.

    Raises:
        ConfigError: names the key, the value and the way out.
    """
    top = scalars(config)
    optimizer = _try_optimizer(config)
    tricks = build_tricks(config)
    built = Parts(
        scalars=top,
        tricks=tricks,
        loss=_loss(config["loss"], top.teacher),
        inits=build_all(config["init"], "init"),
        schedules=build_schedules(config, optimizer),
    )
    _try_data(config)
    sinks(config)
    if foreign(config):  # our own are tried on the data, when these are there
        built = replace(built, notes=check(config, Shape.likely(config["data"]), build_optimizer))
    size = config["data"].get("size", 32)
    augs = {n: node for n, node in config["aug"].items() if n in tricks.penalties or n in tricks.wraps}
    asked = isinstance(built.loss, Taught) and built.loss.relabel is None
    depends = {key: config[key] for key in ("model", "regularizer", "init")} | {"aug": augs, "size": size}
    _try_model(json.dumps(depends | {"asked": asked}))
    return built


def _loss(node: Mapping[str, Any], teacher: str | None) -> Term | Taught:
    loss: Term | Taught = build(node, "loss")
    taught = isinstance(loss, Taught) and loss.own is None
    if taught and teacher is None:
        ways = "teacher=same, teacher='model=resnet56 epochs=30' or the id of a run"
        raise ConfigError(f"loss: {node['_target_']} learns from a teacher; name one by {ways}, or choose loss=ce")
    if teacher is not None and not taught:
        ways = "choose one that does, such as loss=distill, or teacher=null"
        raise ConfigError(
            f"teacher={teacher}: {node['_target_']} learns from no teacher that is trained before; {ways}"
        )
    return loss


def _try_data(config: Mapping[str, Any]) -> None:
    try:
        check_arguments(config["data"])
    except ValueError as e:
        raise ConfigError(f"data.{e}") from e


@lru_cache(maxsize=1024)
def _try_model(text: str) -> None:
    """Build the model without its memory. `text` is JSON of all that it depends on: a grid of rates tries it once."""
    config = json.loads(text)
    tricks = build_tricks(config)
    with torch.device("meta"):
        model = build_network(config, tricks, classes=10, channels=3, size=config["size"])
        _attach(model, tricks)
    with suppress(RuntimeError):  # one that reads weights, of which there are none here, is left to the training
        _start(config, model, build_all(config["init"], "init"), Key.root(0))
    if config["asked"] and any(isinstance(m, Noisy) and m.site for m in model.modules()):
        raise ConfigError(
            "loss: its teacher answers for the images, which are then mixed inside the model (manifold_mixup); choose "
            "another loss, loss=refinery with loss.mixed=clean, or mix the images alone"
        )


def _try_optimizer(config: Mapping[str, Any]) -> torch.optim.Optimizer:
    """Of one parameter, and first: a bad `lr` is its to refuse."""
    return build_optimizer(config, Weights({"weight": nn.Parameter(torch.zeros(1))}, {}, {"weight": "weight"}))


def build_optimizer(config: Mapping[str, Any], weights: Weights) -> torch.optim.Optimizer:
    """The optimiser over these weights."""
    optimizer = build(config["optim"], "optim", {"batch_size": config["batch_size"]}, weights=weights)
    return check_groups(Subject.of(config, "optim", OPTIMIZER), optimizer, weights)


def build_schedules(
    config: Mapping[str, Any], optimizer: torch.optim.Optimizer, steps_per_epoch: int | None = None
) -> dict[str, Schedule]:
    """The schedules of this optimiser's fields; the steps in an epoch are not known before the data.

    Raises:
        ConfigError: bad arguments, or a field that the optimiser does not have.
    """
    lr = optimizer.defaults["lr"]
    schedules: dict[str, Schedule] = build(
        config["sched"], "sched", {"steps_per_epoch": steps_per_epoch}, epochs=config["epochs"], lr=lr
    )
    # Of somebody else's each step's factor is asked; our own are the formulas that their tests hold.
    steps = None if steps_per_epoch is None or ours(config["sched"]) else config["epochs"] * steps_per_epoch
    check_schedules(Subject.of(config, "sched", SCHEDULE), schedules, steps)
    for name in schedules:
        if name not in optimizer.param_groups[0]:
            raise ConfigError(f"sched: schedules {name!r}, which {config['optim']['_target_']} does not have")
    return schedules


def build_learner(
    config: Mapping[str, Any], built: Parts, data: Data, precision: Precision, root: Key, teacher: Teacher | None = None
) -> Learner:
    """A learner whose initial weights are a function of the seed, on the device."""
    _, size, _, channels = data.train.x.shape
    with seeded(root.fold("model")):
        model = build_model(config, built.tricks, classes=len(data.classes), channels=channels, size=size)
    _start(config, model, built.inits, root)
    # After the inits, which otherwise would draw other numbers for a wrapped layer than for the baseline's.
    with seeded(root.fold("regularizer")):
        model = wrapped(config, model, built.tricks)
        penalties = _attach(model, built.tricks)
    learner = Learner(model, data, built.tricks, {"loss": built.loss, **penalties}, precision, teacher)
    return learner.to(precision.device).to(memory_format=torch.channels_last)


def _start(config: Mapping[str, Any], model: Model, inits: Mapping[str, Init], root: Key) -> None:
    """Give the model its starting weights, in place."""
    for name, init in inits.items():
        try:
            returned: object = init(model, root.fold("init").fold(name))
        except ValueError as e:
            raise ConfigError(f"init.{name}: {e}") from e
        check_nothing(Subject.of(config, f"init.{name}", INIT), returned)


def _attach(model: Model, tricks: Tricks) -> dict[str, Term]:
    terms = {}
    for name, penalty in tricks.penalties.items():
        try:
            terms[name] = penalty.attach(model)
        except ValueError as e:
            raise ConfigError(f"{tricks.paths[name]}.{e}") from e
    return terms
