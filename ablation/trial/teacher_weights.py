"""A finished trial's network as a teacher."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import yaml

from ablation.average import Average
from ablation.errors import Blocked, DataError
from ablation.key import Key
from ablation.learner import Teacher
from ablation.machine.precision import Precision
from ablation.network import build_network, seeded
from ablation.store import checkpoint
from ablation.store.result import finished
from ablation.tricks import build_tricks
from ablation.types import Data, Model, Tensors

_ALIKE = ("encoding", "norm", "constants")  # of what is known of a trial's images


def load(folder: Path, seeds: Sequence[int], data: Data, precision: Precision) -> Teacher:
    """The teachers of these seeds, one a lane, from the arm in `folder`; `data` is the students'.

    Their weights are those that were reported: the last average's, if there are averages.

    Raises:
        Blocked: one is not done.
        DataError: a checkpoint is gone or damaged, or it was trained on other images than the students have.
    """
    config: dict[str, Any] = yaml.safe_load((folder / "config.yaml").read_text())
    averages = build_tricks(config).averages
    model = _network(config, data)
    lanes = []
    for seed in seeds:
        weights = _reported(folder / f"seed-{seed}", averages, data)
        try:
            model.load_state_dict(weights)
        except RuntimeError as e:
            raise DataError(f"teacher {folder.name}: does not fit the student's images and classes: {e}") from e
        lanes.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
    stacked = lanes[0] if len(lanes) == 1 else {name: torch.stack([lane[name] for lane in lanes]) for name in lanes[0]}
    placed = {name: tensor.to(precision.device) for name, tensor in stacked.items()}
    return Teacher(model.to(precision.device), placed, tuple(map(_fingerprint, lanes)))


def untrained(config: Mapping[str, Any], data: Data, precision: Precision) -> Teacher:
    """A teacher as `load` would give for one seed, but as it was before its training; `config` is its own."""
    model = _network(config, data)
    fingerprint = _fingerprint(model.state_dict())
    model = model.to(precision.device)
    return Teacher(model, dict(model.state_dict()), (fingerprint,))


def _network(config: Mapping[str, Any], data: Data) -> Model:
    _, size, _, channels = data.train.x.shape
    with seeded(Key.root(0)):  # what it draws is overwritten
        model = build_network(config, build_tricks(config), len(data.classes), channels, size)
    return model.requires_grad_(False).eval().to(memory_format=torch.channels_last)


def _fingerprint(weights: Tensors) -> str:
    """16 hexadecimal digits."""
    h = hashlib.blake2b(digest_size=8)
    for name, tensor in weights.items():
        h.update(name.encode() + tensor.contiguous().numpy().tobytes())
    return h.hexdigest()


def _reported(folder: Path, averages: Mapping[str, Average], data: Data) -> Tensors:
    """A seed's final weights by the names in its model."""
    result = finished(folder)
    if result is None:
        raise Blocked(f"the teacher in {folder} is not done; train it first")
    for key in _ALIKE:
        mine, theirs = data.about[key], result["data"].get(key)
        if theirs != mine:
            raise DataError(f"the teacher in {folder} has seen images of {key} {theirs}, the student's have {mine}")
    saved = next((c for c in checkpoint.usable(folder) if c["step"] == result["steps"]), None)
    if saved is None:
        raise DataError(
            f"the teacher in {folder} is done, but its last checkpoint is gone; move the folder away to train it anew"
        )
    weights: Tensors = saved["weights"]
    for name, average in averages.items():
        weights = average.weights(saved[f"averages.{name}"])
    return {name.removeprefix("model."): tensor for name, tensor in weights.items() if name.startswith("model.")}
