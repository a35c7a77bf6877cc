"""A/A: what is the same by definition trains the same, through the real loop."""

from __future__ import annotations

from functools import cache

import pytest
import torch
import torch.nn.functional as F
from one_step import begun, stepped
from tiny import SMALL_MODEL, TINY, config
from torch import Tensor

from ablation.state import State
from ablation.train import Plan
from ablation.types import Pass

# What is typed, and what it is then the same as; nothing: the baseline.
SAME: dict[str, tuple[str, str]] = {
    "mixup without mixing": ("aug=mixup aug.mixup.alpha=0", ""),
    "cutout of no pixels": ("aug=cutout aug.cutout.size=0", ""),
    "random erasing never": ("aug=random_erasing aug.random_erasing.p=0", ""),
    "channel drop of none": ("aug=channel_drop aug.channel_drop.most=0", ""),
    "smoothing of nothing": ("loss=label_smoothing loss.eps=0", "loss=ce"),
    "distillation that asks the labels only": ("loss=distill loss.alpha=0", "loss=ce"),
    "dropout of nothing": ("regularizer=dropout regularizer.dropout.p=0", ""),
    "depth that always survives": ("regularizer=stochastic_depth regularizer.stochastic_depth.last_survival=1", ""),
    "an average without memory": ("regularizer=ema regularizer.ema.decay=0", ""),
    "an ascent of no length": ("regularizer=sam regularizer.sam.rho=0", ""),
    "a limit above every gradient": ("regularizer=clip regularizer.clip.max_norm=1e9", ""),
    "a cosine that ends where it begins": ("sched=cosine sched.eta=0.1", "sched=constant"),
    "steps of factor one": ("sched=multistep sched.gamma=1", "sched=constant"),
    "a warm-up from the full rate": ("sched=constant sched.warmup=1 sched.warmup_start=0.1", "sched=constant"),
}


def moved(plan: Plan, state: State, steps: int) -> dict[str, Tensor]:
    """What so many steps change in the weights that would be evaluated."""
    start = {name: tensor.clone() for name, tensor in state.weights.all().items()}
    stepped(plan, state, steps)
    weights = state.weights.all()
    for name, average in plan.averages.items():
        weights = average.weights(state.averages[name])
    return {name: tensor - start[name] for name, tensor in weights.items() if name in start}


@cache
def change(typed: str) -> dict[str, Tensor]:
    """Of one step, since later ones amplify rounding; with a schedule of all steps, which then are bit for bit."""
    plan, state = begun(config(*TINY, *SMALL_MODEL, *typed.split()))
    return moved(plan, state, plan.steps if "sched" in typed else 1)


def apart(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """Relative distance, of what both have."""
    shared = [name for name in one if name in other and one[name].is_floating_point()]
    a, b = (torch.cat([tensors[name].flatten() for name in shared]) for tensors in (one, other))
    return float((a - b).norm() / b.norm())


@pytest.mark.parametrize("name", SAME)
def test_what_is_the_same_trains_the_same(name: str) -> None:
    typed, same_as = SAME[name]
    assert typed != same_as
    assert apart(change(typed), change(same_as)) < 1e-5


def test_a_difference_would_be_seen() -> None:
    assert apart(change("optim.lr=0.101"), change("")) > 1e-4


def losses_mixed(given: Pass) -> Tensor:
    """The other form of mixup (1710.09412): each image's two cross-entropies with plain labels, mixed by its shares."""
    shares, labels = given.batch.y.topk(2, dim=1)
    each = torch.stack([F.cross_entropy(given.logits.float(), labels[:, i], reduction="none") for i in (0, 1)], 1)
    return (shares * each).sum(1).mean()


def test_mixing_losses_is_mixing_labels() -> None:
    """Cross-entropy is linear in the target."""
    plan, state = begun(config(*TINY, *SMALL_MODEL, "aug=mixup"))
    plan.learner.terms["loss"] = losses_mixed
    assert apart(moved(plan, state, 1), change("aug=mixup")) < 1e-5
