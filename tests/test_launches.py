"""What a step launches on a GPU, counted on the meta device: ceilings, so that what gets dearer fails by its name.

An operator counts as one launch, and so does one over many tensors; views and `empty` are free. A batch is 128 images
of 32 x 32 pixels, the network of 8 layers. The first step notes its draws, the second makes those of a block, and the
third is like all others.
"""

from __future__ import annotations

import json
from contextlib import suppress
from functools import cache
from typing import Any

import pytest
from golden_draws import cases
from one_step import Enough, begun, imitation
from tiny import NEEDS, config
from watching import META, Watching

from ablation.ahead import Ahead
from ablation.state import State
from ablation.train import Feed, Plan, Recorder, train
from ablation.trial.prepare import to_device
from ablation.types import Data

BASE = ("track=[]", "device=cpu", "precision=fp32", "epochs=1", "batch_size=128", "data=cifar10", "model.depth=8")
VIEWS = {"none": 10, "pad_crop": 20, "pad_crop_flip": 20, "resize_crop": 20, "resize_crop_flip": 20}
VIEWS |= {"random_resized_crop": 90}
# Beyond the baseline's step; what a trick makes of images and targets counts, and a second pass does.
MORE = {
    "aug=auto_augment": 290, "aug=batch_augmentation": 5, "aug=channel_drop": 5, "aug=color_jitter": 90,
    "aug=cutmix": 75, "aug=cutout": 15, "aug=dual_cutout": 45, "aug=gaussian_blur": 30, "aug=gaussian_noise": 85,
    "aug=mixup": 40, "aug=mixup_or_cutmix": 120, "aug=pca_lighting": 30, "aug=rand_augment": 280,
    "aug=random_erasing": 85, "aug=ricap": 85, "aug=trivial_augment": 140, "regularizer=drop_block": 150,
    "regularizer=dropout": 110, "regularizer=manifold_mixup": 75, "regularizer=r_drop": 240,
    "regularizer=rotation": 115, "regularizer=shake_drop": 45, "regularizer=shake_shake": 60,
    "regularizer=stochastic_depth": 20,
}  # fmt: skip


@cache
def data(node: str) -> Data:
    return to_device(imitation(json.loads(node), 4 * 128), META.device)


def prepared(*overrides: str) -> tuple[Plan, State]:
    settings: dict[str, Any] = config(*BASE, *overrides)
    return begun(settings, data(json.dumps(settings["data"])), META)


class _Third(Recorder):
    """Watches the second step and the third, each by itself."""

    def __init__(self) -> None:
        self.seen = [Watching(), Watching()]

    def step(self, state: State) -> None:
        if state.step > 1:
            self.seen[state.step - 2].__exit__(None, None, None)
        if state.step == 3:
            raise Enough
        self.seen[state.step - 1].__enter__()

    def epoch(self, state: State) -> None:
        pass


@cache
def launches(*overrides: str) -> int:
    """Of a step."""
    plan, state = prepared(*overrides)
    third = _Third()
    with suppress(Enough):
        train(plan, state, third)
    return third.seen[1].launches


def needed(option: str) -> tuple[str, ...]:
    """What an option's baseline has too."""
    return tuple(need.replace(f",{option.partition('=')[2]}]", "]") for need in NEEDS.get(option, ()))


@pytest.mark.parametrize("view", VIEWS)
def test_the_batch_its_view_and_the_keys(view: str) -> None:
    plan, _ = prepared(f"data.view={view}", "regularizer=[dropout,stochastic_depth]")
    feed, seen = Feed(plan, 0, Ahead()), Watching()

    def step(i: int) -> None:
        (x, y, word, t), drawn = feed.batch(i), feed.drawn(i)
        assert drawn is not None
        key = drawn.key(word, drawn.values)
        plan.learner.standard(x, y, key, t)
        assert len([of.word for of in plan.learner.keys(key).values()]) == 6

    step(0)
    step(1)
    with seen:
        step(2)
    assert seen.launches <= VIEWS[view]


@pytest.mark.parametrize("option", MORE)
def test_an_option(option: str) -> None:
    assert launches(option, *NEEDS.get(option, ())) - launches(*needed(option)) <= MORE[option]


def test_every_option_that_draws_has_a_ceiling() -> None:
    drawing = {"=".join(name.split()[:2]) for name, _ in cases() if name.startswith(("aug ", "regularizer "))}
    assert drawing <= set(MORE)
