"""From a checked configuration and its data to a plan and the state at the start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from ablation.contract import first
from ablation.contract.check import foreign
from ablation.contract.networks import MODEL, check_first_pass
from ablation.contract.subject import Subject
from ablation.key import Key
from ablation.learner import Teacher, own_teacher
from ablation.machine.precision import Precision
from ablation.state import State, gather_weights
from ablation.train import Feed, Plan
from ablation.trial.parts import Parts, build_learner, build_optimizer, build_schedules
from ablation.trial.teacher import draws
from ablation.types import Data, Split, Taught

OWN = "teacher"  # the average that is the student's own teacher, among the averages


def to_device(data: Data, device: torch.device) -> Data:
    """The data on the device, but for images that are memory-mapped or would take over half of a GPU's free memory."""
    data = replace(data, mean=data.mean.to(device), std=data.std.to(device))
    size = sum(split.x.numel() for split in (data.train, data.test, data.val) if split is not None)
    if data.mapped or (device.type == "cuda" and size > torch.cuda.mem_get_info(device)[0] // 2):
        return data

    def move(split: Split) -> Split:
        return Split(split.x.to(device), split.y.to(device))

    val = None if data.val is None else move(data.val)
    return replace(data, train=move(data.train), test=move(data.test), val=val)


def _root(config: Mapping[str, Any], seed: int) -> Key:
    """The key that all draws of a trial are folded from."""
    root, own = Key.root(seed), draws(config)
    return root.fold("teacher").fold(own) if own else root


def prepare(
    config: Mapping[str, Any],
    built: Parts,
    data: Data,
    precision: Precision,
    seeds: Sequence[int],
    teacher: Teacher | None = None,
) -> tuple[Plan, State]:
    """The plan for these seeds together, and the state at step 0; `data` and `teacher` are on the device."""
    top, roots, tricks = built.scalars, [_root(config, seed) for seed in seeds], built.tricks
    learners = [build_learner(config, built, data, precision, root, teacher) for root in roots]
    weights, learner = gather_weights(learners), learners[0]
    averages = dict(tricks.averages)
    if isinstance(built.loss, Taught) and built.loss.own is not None:
        averages[OWN] = built.loss.own
    kept = {name: average.begin(weights.all()) for name, average in averages.items()}
    if OWN in averages:
        learner.teacher = own_teacher(learner.model, averages[OWN].weights(kept[OWN]))
    optimizer = build_optimizer(config, weights)
    plan = Plan(
        learner=learner,
        train=data.train,
        schedules=build_schedules(config, optimizer, len(data.train) // top.batch_size),
        grads=sorted(tricks.grads.values(), key=lambda grad: not grad.loss),
        averages=averages,
        reported=list(tricks.averages),
        roots=roots,
        epochs=top.epochs,
        batch_size=top.batch_size,
        compile=top.compile,
    )
    for group in optimizer.param_groups:
        group.update({f"initial_{field}": group[field] for field in plan.schedules})
    if foreign(config) and not top.compile:
        subject = Subject("model", config["model"]["_target_"], MODEL)
        check_first_pass(subject, learner.model, len(data.classes))
    if first.needed(config):
        x, y, word, t = Feed(plan, 0).batch(0)
        lane = (x, y, word) if weights.lanes is None else (x[0], y[0], word[0])
        first.check(config, tricks, built.loss, learner, (*lane, t))
    per_step = (plan.steps_per_epoch,) if weights.lanes is None else (weights.lanes, plan.steps_per_epoch)
    losses, hits = (torch.zeros(per_step, device=precision.device) for _ in range(2))
    return plan, State(weights, optimizer, kept, losses, hits)
