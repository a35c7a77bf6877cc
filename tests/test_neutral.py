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
from launch.compose.warnings import OFF, config_notes, switch_off

# What is typed, and what it is then the same as; nothing: the baseline.
SAME: dict[str, tuple[str, str]] = {
    **{path: (f"{path.replace('.', '=')} {switch_off(path)}", "") for path in OFF},
    "smoothing of nothing": ("loss=label_smoothing loss.eps=0", "loss=ce"),
    "smoothing of nothing, by two numbers": ("loss=label_smoothing loss.form=posneg loss.pos=1 loss.neg=0", "loss=ce"),
    "focal loss without focus": ("loss=focal loss.gamma=0", "loss=ce"),
    "KL is CE": ("loss=kl", "loss=ce"),
    "KL is CE for mixed labels too": ("loss=kl aug=mixup", "loss=ce aug=mixup"),
    "distillation that asks the labels only": ("loss=distill loss.alpha=0 draws=seed", "loss=ce"),
    "gains of one, for a step": ("regularizer=skip_init regularizer.skip_init.start=1", ""),
    "a limit above every gradient": ("regularizer=clip regularizer.clip.max_norm=1e9", ""),
    "Adam and AdamW without decay": (
        "optim=adam optim.weight_decay=0",
        "optim=adamw optim.weight_decay=0 optim.lr=0.001",
    ),
    "a cosine that ends where it begins": ("sched=cosine sched.eta=0.1", "sched=constant"),
    "restarts with one cycle": ("sched=sgdr sched.len=3", "sched=cosine"),
    "restarts with one cycle after a warm-up": ("sched=sgdr sched.len=2 sched.warmup=1", "sched=cosine sched.warmup=1"),
    "a polynomial of power one": ("sched=poly sched.power=1", "sched=linear"),
    "a line that is level": ("sched=linear sched.eta=0.1", "sched=constant"),
    "steps of factor one": ("sched=multistep sched.gamma=1", "sched=constant"),
    "steps of one height": (
        "sched=step sched.every=1 sched.gamma=0.5",
        "sched=multistep sched.milestones=[1,2] sched.gamma=0.5",
    ),
    "a decay of factor one": ("sched=exponential sched.gamma=1", "sched=constant"),
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


@pytest.mark.parametrize("path", OFF)
def test_what_changes_nothing_is_said_and_nothing_else_is(path: str) -> None:
    typed, _ = SAME[path]
    notes = config_notes(config(*TINY, *SMALL_MODEL, *typed.split()))
    assert f"{path} changes nothing: with {switch_off(path)} it trains as without it" in notes
    assert "changes nothing" not in "".join(config_notes(config(*TINY, *SMALL_MODEL, typed.split()[0])))


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
