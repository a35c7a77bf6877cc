"""Augmentations and regularizers, built and sorted by kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ablation.average import Average
from ablation.build import build_all
from ablation.errors import ConfigError
from ablation.types import Aug, Grad, Noise, Penalty, Repeat, Team, Wrap

Part = Aug | Repeat | Noise | Penalty | Grad | Wrap | Average | Team


# Keys, terms, averages and metrics are known by their option's name; these are taken by what is always there.
_TAKEN = {
    "view": "the standard crop, whose random numbers it would draw",
    "loss": "the main term, whose place it would take",
    "teacher": "the student as its own teacher",
    "raw": "the trained weights beside an average's",
    "best": "the best epoch's accuracy",
}


@dataclass(frozen=True)
class Tricks:
    """All parts under the names of their options, in order: augmentations first."""

    paths: dict[str, str] = field(default_factory=dict)  # name -> group.name, for messages
    augs: dict[str, Aug] = field(default_factory=dict)
    repeats: dict[str, Repeat] = field(default_factory=dict)
    noise: dict[str, Any] = field(default_factory=dict)  # join=, drop= for the model
    penalties: dict[str, Penalty] = field(default_factory=dict)
    grads: dict[str, Grad] = field(default_factory=dict)
    wraps: dict[str, Wrap] = field(default_factory=dict)
    averages: dict[str, Average] = field(default_factory=dict)
    teams: dict[str, Team] = field(default_factory=dict)  # one at most


def build_tricks(config: Mapping[str, Any]) -> Tricks:
    """Build every option of `aug` and `regularizer`.

    Raises:
        ConfigError: bad arguments, or two options that want the same place.
    """
    tricks = Tricks()
    for path, part in _parts(config):
        group, name = path.split(".")
        if name in _TAKEN:
            raise ConfigError(f"{path}: {name} is the name of {_TAKEN[name]}; call this option otherwise")
        if tricks.paths.setdefault(name, path) != path:
            raise ConfigError(f"{path}: {tricks.paths[name]} has this name too, and both would draw alike; rename one")
        if isinstance(part, Noise):
            _noise(tricks.noise, path, part)
            continue
        place = _place(tricks, part)
        if name in place:
            raise ConfigError(f"{path}: {group} has two parts of one kind by this name")
        place[name] = part
    if len(tricks.teams) > 1:
        raise ConfigError(f"regularizer: {' and '.join(tricks.teams)} both replace the model; choose one")
    return tricks


def _place(tricks: Tricks, part: Part) -> dict[str, Any]:
    kinds: list[tuple[type, dict[str, Any]]] = [
        (Repeat, tricks.repeats),
        (Penalty, tricks.penalties),
        (Grad, tricks.grads),
        (Wrap, tricks.wraps),
        (Average, tricks.averages),
        (Team, tricks.teams),
    ]
    return next((held for kind, held in kinds if isinstance(part, kind)), tricks.augs)


def _parts(config: Mapping[str, Any]) -> Iterator[tuple[str, Part]]:
    for group in ("aug", "regularizer"):
        for name, made in build_all(config[group], group).items():
            for part in made if isinstance(made, tuple) else (made,):
                yield f"{group}.{name}", part


def _noise(chosen: dict[str, Callable[..., Any]], path: str, noise: Noise) -> None:
    for place, layer in (("join", noise.join), ("drop", noise.drop)):
        if layer is not None and place in chosen:
            raise ConfigError(f"{path}: another regularizer has taken the model's `{place}`; choose one")
        if layer is not None:
            chosen[place] = layer
