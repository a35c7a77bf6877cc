"""One step's computation: augmentations one after the other, the model, the loss and the penalties."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from math import prod
from typing import Any

import torch

from ablation.average import Average
from ablation.build import build
from ablation.contract.averages import AVERAGE, check_average
from ablation.contract.generators import TORCH
from ablation.contract.images import AUG, check_aug, check_pairs, lanes_trouble
from ablation.contract.networks import MODEL, check_model
from ablation.contract.sample import KEPT, PROGRESS, Shape, key, stand_in
from ablation.contract.subject import Raised, Subject, ours
from ablation.contract.terms import TAUGHT, TERM, check_term, passed, term_lanes_trouble
from ablation.errors import ConfigError
from ablation.network import build_network, seeded
from ablation.tricks import Tricks, build_tricks
from ablation.types import Batch, Model, Taught, Term

Config = Mapping[str, Any]
_SMALL = 3_000_000  # parameters of a model that is run for this, on images of at most
_SIDE = 64
_MOMENTS = [(key(i), t) for i, t in enumerate(PROGRESS)]


@lru_cache(maxsize=KEPT)
def images(text: str, shape: Shape) -> tuple[str, ...]:
    """Try the augmentations, one after the other as in a step; `text` is JSON of all that they depend on."""
    return _augmented(text, shape)[2]


@lru_cache(maxsize=1)  # it holds images
def _augmented(text: str, shape: Shape) -> tuple[Batch, Batch, tuple[str, ...]]:
    """The batch before and after all augmentations, and notes."""
    config = json.loads(text)
    tricks = build_tricks(config)
    for name, repeat in tricks.repeats.items():
        if type(repeat.times) is not int or repeat.times < 1:
            tried = Subject.of(config, tricks.paths[name], "Repeat(times)")
            raise tried.breach(f"repeats {repeat.times} times", wanted="a whole number of copies from 1 up")
    clean = batch = shape.batch(prod(repeat.times for repeat in tricks.repeats.values()))
    notes: list[str] = []
    for name, aug in tricks.augs.items():
        tried = Subject.of(config, tricks.paths[name], AUG)
        group, option = tricks.paths[name].split(".")
        own = ours(config[group][option])
        try:
            found = check_aug(tried, aug, batch, _MOMENTS[:1] if own else _MOMENTS)
            check_pairs(tried, batch, found)
        except Raised:
            if shape.known:
                raise
            continue  # with the images themselves it will be told
        notes += [] if own else lanes(tried, config["fuse"], lanes_trouble(aug, batch))
        batch = found[0]._replace(t=batch.t)
    return clean, batch, tuple(notes)


def lanes(tried: Subject, fuse: bool, trouble: str) -> list[str]:
    """What is said of a part that cannot be trained with seeds fused, or reads the device.

    Raises:
        ConfigError: seeds are fused.
    """
    host = ".item()" in trouble or "data-dependent" in trouble or "data pointer" in trouble
    reads = "reads a tensor's value on the host (.item(), float(), bool() or an `if` on a tensor)"
    if trouble and fuse:
        what = reads if host else f"cannot be trained with seeds fused: {trouble[:300]}"
        raise tried.breach(what, wanted="operations on whole tensors, such as torch.where; or fuse=false")
    return [f"{tried.path} {reads}: on a GPU each step waits for it, and fuse=true refuses it"] if host else []


@lru_cache(maxsize=KEPT)
def terms(text: str, shape: Shape) -> tuple[str, ...]:
    """Try the loss and the penalties, and the model if that is in `text`."""
    config = json.loads(text)
    tricks, loss = build_tricks(config), build(config["loss"], "loss")
    model, real = _model(config, tricks, shape)
    clean, batch, _ = _augmented(json.dumps({name: config[name] for name in ("aug", "regularizer", "fuse")}), shape)
    notes = check_terms(config, tricks, loss, batch, clean, model, real and shape.known)
    if isinstance(loss, Taught) and isinstance(loss.own, Average):
        check_average(Subject.of(config, "loss", AVERAGE), loss.own, shape)
    return notes


def check_terms(
    config: Config, tricks: Tricks, loss: Term | Taught, batch: Batch, clean: Batch, model: Model, real: bool
) -> tuple[str, ...]:
    """Try the loss and the penalties on a batch; `real`: the model is the one that is trained.

    Raises:
        ConfigError: one breaks its contract.
    """
    tried = Subject.of(config, "loss", TAUGHT if isinstance(loss, Taught) else TERM)
    given = passed(model, batch, clean)
    check_term(tried, loss, given)
    notes = [] if ours(config["loss"]) else lanes(tried, config["fuse"], term_lanes_trouble(loss, given))
    for name, penalty in tricks.penalties.items():
        group, option = tricks.paths[name].split(".")
        tried = Subject.of(config, tricks.paths[name], f"Penalty: attach(Model) -> Term; {TERM}")
        tried.takes(penalty.attach, "model")
        try:
            with seeded(key()):
                term = tried.call(penalty.attach, model)
            check_term(tried, term, passed(model, batch, clean), penalty=True)
        except ConfigError as e:
            # A network that is not the configured one may be refused, or lack what the penalty looks for.
            if real or not (isinstance(e, Raised) or isinstance(e.__cause__, ValueError)):
                raise
            continue
        trouble = "" if ours(config[group][option]) else term_lanes_trouble(term, passed(model, batch, clean))
        notes += lanes(tried, config["fuse"], trouble)
    return tuple(notes)


def _model(config: Config, tricks: Tricks, shape: Shape) -> tuple[Model, bool]:
    """The configured network where somebody else had a hand in it and it is small, tried; else a stand-in."""
    small = shape.height == shape.width <= _SIDE and config["model"]
    if small:
        with torch.device("meta"):
            model = build_network(config, tricks, shape.classes, shape.channels, shape.height)
        small = sum(p.numel() for p in model.parameters()) <= _SMALL
    if not small:
        return stand_in(shape), False
    changed = [name for name, node in config["regularizer"].items() if not ours(node)]
    by = f" with regularizer={','.join(changed)}" if changed else ""
    tried = Subject("model", f"{config['model']['_target_']}{by}", MODEL)

    def built(i: int) -> dict[str, torch.Tensor]:
        nonlocal model
        model = build_network(config, tricks, shape.classes, shape.channels, shape.height)
        return {name: p.detach() for name, p in model.named_parameters()}

    tried.twice(built, spared=[TORCH])
    try:
        check_model(tried, model, shape)
    except Raised:
        if shape.known:
            raise
        return stand_in(shape), False
    return model, True
