"""From a checked configuration and its data to a plan and a state: at the start, or where the checkpoints are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from ablation import checkpoint
from ablation.key import Key
from ablation.parts import Parts, build_learner, build_optimizer
from ablation.precision import Precision
from ablation.state import State, gather_weights, unpack
from ablation.train import Plan
from ablation.types import Data, Split


def to_device(data: Data, device: torch.device) -> Data:
    """The data on the device; a memory-mapped set is too large for that and stays where it is."""

    def move(split: Split) -> Split:
        mapped = data.about.get("storage") == "memory-mapped"
        return split if mapped else Split(split.x.to(device), split.y.to(device))

    moved = {"train": move(data.train), "test": move(data.test), "val": None if data.val is None else move(data.val)}
    return Data(**{**vars(data), **moved, "mean": data.mean.to(device), "std": data.std.to(device)})


def prepare(
    config: Mapping[str, Any], built: Parts, data: Data, precision: Precision, seeds: Sequence[int]
) -> tuple[Plan, State]:
    """The plan for these seeds together, and the state at step 0; `data` is on the device."""
    top, roots = built.scalars, [Key.root(seed) for seed in seeds]
    learners = [build_learner(config, built, data, precision, root) for root in roots]
    weights = gather_weights(learners)
    plan = Plan(
        learner=learners[0],
        train=data.train,
        schedules=built.schedules,
        grads=list(built.grads.values()),
        averages=built.averages,
        roots=roots,
        epochs=top.epochs,
        batch_size=top.batch_size,
        compile=top.compile,
    )
    averages = {name: average.begin(weights.all()) for name, average in built.averages.items()}
    per_step = (plan.steps_per_epoch,) if weights.lanes is None else (weights.lanes, plan.steps_per_epoch)
    losses, hits = (torch.zeros(per_step, device=precision.device) for _ in range(2))
    return plan, State(weights, build_optimizer(config, weights), averages, losses, hits)


def resume(state: State, folders: Sequence[Path]) -> None:
    """Continue at the newest step of which every seed's folder has a whole checkpoint, if there is one."""
    saved = [{c["step"]: c for c in checkpoint.load(folder)} for folder in folders]
    common = set(saved[0]).intersection(*saved[1:])
    if common:
        unpack(state, [packs[max(common)] for packs in saved])
