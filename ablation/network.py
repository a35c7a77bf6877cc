"""The network of a configuration, as it is trained and as a teacher."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from ablation import generators
from ablation.build import build, factory
from ablation.errors import ConfigError
from ablation.key import Key
from ablation.onednn import guard
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
        return team.combine([_one(node, tricks.noise, shape) for node in members])
    return _one(config["model"], tricks.noise, shape)


def _one(node: Mapping[str, Any], noise: Mapping[str, Any], shape: Mapping[str, int]) -> Model:
    accepted = inspect.signature(factory(node, "model")).parameters
    for place in noise:
        if place not in accepted:
            raise ConfigError(f"model: {node['_target_']} takes no `{place}`, which a regularizer needs")
    model: Model = build(node, "model", **shape, **noise)
    return model


def build_network(config: Mapping[str, Any], tricks: Tricks, classes: int, channels: int, size: int) -> Model:
    """The model with what regularizers change in it; uses torch's global generator.

    Raises:
        ConfigError: as `build_model`.
    """
    return wrapped(build_model(config, tricks, classes, channels, size), tricks)


def wrapped(model: Model, tricks: Tricks) -> Model:
    """The model as regularizers change it once it is built, kept from what a library computes wrongly.

    Raises:
        ConfigError: one refuses the model, or a layer of it cannot be computed safely; or its layers draw at a site
            that is not its option's name, at which the augmentation that it brings draws: they would not draw alike.
    """
    for name, wrap in tricks.wraps.items():
        before = set(model.modules())
        try:
            model = wrap.apply(model)
        except ValueError as e:
            raise ConfigError(f"{tricks.paths[name]}.{e}") from e
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
