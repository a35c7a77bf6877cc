"""The network of a configuration, as it is trained and as a teacher."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from ablation import generators
from ablation.build import build, factory
from ablation.contract.networks import MODEL, check_is_model
from ablation.contract.subject import Subject
from ablation.errors import ConfigError
from ablation.key import Key
from ablation.machine.onednn import guard
from ablation.tricks import Tricks
from ablation.types import Model, Noisy


def build_model(config: Mapping[str, Any], tricks: Tricks, classes: int, channels: int, size: int) -> Model:
    """The model, or models, with noise inside; uses torch's global generator for the default initialisation.

    Raises:
        ConfigError: bad arguments, or a regularizer inside the blocks of a model that has no place for it.
    """
    shape = {"classes": classes, "channels": channels, "size": size}
    for name, team in tricks.teams.items():
        try:
            members = team.members(config["model"])
        except ValueError as e:
            raise ConfigError(f"{tricks.paths[name]}.{e}") from e
        tried = Subject.of(config, tricks.paths[name], f"Team: combine(list of models) -> {MODEL}")
        return check_is_model(tried, team.combine([_one(node, tricks.noise, shape) for node in members]))
    return _one(config["model"], tricks.noise, shape)


def _one(node: Mapping[str, Any], noise: Mapping[str, Any], shape: Mapping[str, int]) -> Model:
    accepted = inspect.signature(factory(node, "model")).parameters
    for place in noise:
        if place not in accepted:
            raise ConfigError(f"model: {node['_target_']} takes no `{place}`, which a regularizer needs")
    tried = Subject("model", str(node["_target_"]), MODEL)
    return check_is_model(tried, build(node, "model", **shape, **noise))


def build_network(config: Mapping[str, Any], tricks: Tricks, classes: int, channels: int, size: int) -> Model:
    """The model with what regularizers change in it; uses torch's global generator.

    Raises:
        ConfigError: as `build_model`.
    """
    return wrapped(config, build_model(config, tricks, classes, channels, size), tricks)


def wrapped(config: Mapping[str, Any], model: Model, tricks: Tricks) -> Model:
    """The model as regularizers change it once it is built, kept from what a library computes wrongly.

    Raises:
        ConfigError: one refuses the model or returns none, or a layer of it cannot be computed safely; or its layers
            draw at a site that is not its option's name, at which the augmentation that it brings draws: they would not
            draw alike.
    """
    for name, wrap in tricks.wraps.items():
        before = set(model.modules())
        try:
            found = wrap.apply(model)
        except ValueError as e:
            raise ConfigError(f"{tricks.paths[name]}.{e}") from e
        model = check_is_model(Subject.of(config, tricks.paths[name], f"Wrap: apply(Model) -> {MODEL}"), found)
        sites = {m.site for m in set(model.modules()) - before if isinstance(m, Noisy)} - {None, name}
        if sites and name in tricks.augs:
            raise ConfigError(
                f"{tricks.paths[name]}: what it adds to the model draws under the name {', '.join(map(str, sites))}, "
                f"and what it does to images under that of this option, {name}; give the option that name"
            )
    try:
        guard(model)
    except ValueError as e:
        raise ConfigError(f"model: {e}") from e
    return model


@contextmanager
def seeded(key: Key) -> Iterator[None]:
    """Inside, torch's global CPU generator is a function of the key; outside, it is left as it was."""
    with torch.random.fork_rng(devices=[]):
        generators.seed(torch.device("cpu"), int(key.word))
        yield
