"""Batch augmentation through the real learner."""

from __future__ import annotations

import pytest
import torch
from one_step import begun, stepped
from tiny import SMALL_MODEL, TINY, config
from torch import Tensor
from torch.nn import functional as F

from ablation.aug.batch_augmentation import batch_augmentation
from ablation.key import Key
from ablation.learner import one_hot, to_float


def after_a_step(*typed: str) -> Tensor:
    plan, state = begun(config(*TINY, *SMALL_MODEL, *typed))
    stepped(plan, state)
    return torch.cat([p.detach().flatten() for p in state.weights.params.values()])


def test_rows_are_every_image_so_many_times_each_with_a_view_of_its_own() -> None:
    plan, _ = begun(config(*TINY, *SMALL_MODEL, "aug=batch_augmentation", "aug.batch_augmentation.times=3"))
    learner, key, t = plan.learner, Key.root(1), torch.tensor(0.0)
    x, y = plan.train.x[:8], plan.train.y[:8]
    batch = learner.standard(x, y, key, t)
    assert torch.equal(batch.y, one_hot(y.repeat(3), 10))
    assert torch.equal(batch.x, to_float(learner.view(x.repeat(3, 1, 1, 1), key.fold("view"))))
    views = batch.x.reshape(3, 8, -1)
    different = torch.stack([(views[i] != views[j]).any(1) for i, j in ((0, 1), (0, 2), (1, 2))])
    assert different.float().mean() > 0.8  # of 81 crops, two may be one


def test_the_loss_is_the_mean_over_all_rows_and_a_hit_counts_once() -> None:
    plan, _ = begun(config(*TINY, *SMALL_MODEL, "aug=[batch_augmentation,cutout]", "aug.batch_augmentation.times=3"))
    learner, key, t = plan.learner, Key.root(1), torch.tensor(0.0)
    x, y = plan.train.x[:8], plan.train.y[:8]
    step = learner(x, y, key, t)
    batch = learner.augment(learner.standard(x, y, key, t), key)
    logits = learner.model(learner.normalise(batch.x))
    each = F.cross_entropy(logits, y.repeat(3), reduction="none")
    torch.testing.assert_close(step.loss, each.sum() / 24)
    torch.testing.assert_close(step.hits, (logits.argmax(1) == y.repeat(3)).sum() / 3)


def test_copies_that_are_alike_train_as_one() -> None:
    plain = after_a_step("data.view=none")
    copied = after_a_step("data.view=none", "aug=batch_augmentation")
    once = after_a_step("data.view=none", "optim.lr=1e-9")  # where both began
    assert (copied - plain).norm() < 0.02 * (plain - once).norm()  # rounding decides the ReLUs at their kinks
    assert (after_a_step("aug=batch_augmentation") - after_a_step()).norm() > 0.1 * (plain - once).norm()


def test_once_changes_no_bit() -> None:
    assert torch.equal(after_a_step("aug=batch_augmentation", "aug.batch_augmentation.times=1"), after_a_step())


@pytest.mark.parametrize("times", [0, -1, 1.5, True, float("inf")])
def test_refuses(times: int) -> None:
    with pytest.raises(ValueError, match=r"^times: "):
        batch_augmentation(times)
