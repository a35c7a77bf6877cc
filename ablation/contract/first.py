"""The first batch of a training, with all its images, through what is somebody else's, on the CPU.

Eight images of noise do not show what a part does of more, or of the images themselves. Before the first step, so that
the loop waits for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from ablation.contract.images import AUG, VIEW, check_aug, check_view, lanes_trouble
from ablation.contract.passing import check_terms, lanes
from ablation.contract.sample import Shape, stand_in
from ablation.contract.subject import Subject, ours
from ablation.key import Key
from ablation.learner import Learner
from ablation.tricks import Tricks
from ablation.types import Taught, Term

_MOST = 2**26  # numbers of a batch; of a larger one the first images


def needed(config: Mapping[str, Any]) -> bool:
    """Whether a batch passes through anything that is not this project's own before it reaches the model, or after."""
    return not all(map(ours, [config["data"], *_parts(config)]))


def _parts(config: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [config["loss"], *config["aug"].values(), *config["regularizer"].values()]


def check(
    config: Mapping[str, Any],
    tricks: Tricks,
    loss: Term | Taught,
    learner: Learner,
    given: tuple[Tensor, Tensor, Tensor, Tensor],
) -> None:
    """Try the view, the augmentations, the loss and the penalties; `given` is one lane's x, y, key word and t.

    A small network stands in for the model, whose own outputs are looked at in its first pass.

    Raises:
        ConfigError: one breaks its contract.
    """
    x, y, word, t = (tensor.cpu() for tensor in given)
    most, key = max(_MOST // x[0].numel(), 1), Key(word)
    x, y = x[:most], y[:most]
    if not ours(config["data"]):
        check_view(Subject("data", str(config["data"]["_target_"]), VIEW), learner.view, x)
    if all(map(ours, _parts(config))):
        return
    clean = batch = learner.standard(x, y, key, t)._replace(mean=learner.mean.cpu())
    for name, aug in tricks.augs.items():
        tried, its = Subject.of(config, tricks.paths[name], AUG), key.fold(name)
        group, option = tricks.paths[name].split(".")
        if ours(config[group][option]):
            batch = aug(batch, its)
            continue
        (after,) = check_aug(tried, aug, batch, [(its, float(t))])
        lanes(tried, config["fuse"], lanes_trouble(aug, batch))
        batch = after
    _, channels, height, width = clean.x.shape
    shape = Shape(learner.classes, channels, height, width, known=True)
    check_terms(config, tricks, loss, batch, clean, stand_in(shape), real=False)
