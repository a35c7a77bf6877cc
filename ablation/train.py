"""The loop. It knows no trick by name."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ablation.key import Key
from ablation.learner import Learner
from ablation.state import Forward, State, forward
from ablation.types import Average, Fill, Grad, Schedule, Split, Step


@dataclass(frozen=True)
class Plan:
    """What is to be trained, and for how long."""

    learner: Learner
    train: Split
    schedules: Mapping[str, Schedule]
    grads: Sequence[Grad]
    averages: Mapping[str, Average]
    roots: Sequence[Key]  # one a lane: the seeds' keys
    epochs: int
    batch_size: int
    compile: bool

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches only; the images left over differ from epoch to epoch."""
        return len(self.train) // self.batch_size

    @property
    def steps(self) -> int:
        """Of the whole training."""
        return self.epochs * self.steps_per_epoch


class Recorder(ABC):
    """Told what happens; may save the state or end the training by raising."""

    @abstractmethod
    def tick(self, state: State) -> None:
        """After each step. Must not read from the device."""

    @abstractmethod
    def epoch(self, state: State, seconds: float, steps: int) -> None:
        """After each epoch, of which this attempt did so many steps in so many seconds."""


def train(plan: Plan, state: State, recorder: Recorder) -> None:
    """Train from the state's step to the end, changing the state in place."""
    call = forward(plan.learner, state.weights, plan.compile)
    base = [{field: group[field] for field in plan.schedules} for group in state.optimizer.param_groups]
    while state.step < plan.steps:
        epoch, first = divmod(state.step, plan.steps_per_epoch)
        feed = Feed(plan, epoch)
        began = time.perf_counter()
        for i in range(first, plan.steps_per_epoch):
            for group, start in zip(state.optimizer.param_groups, base, strict=True):
                group.update(
                    {f: start[f] * schedule(state.step / plan.steps) for f, schedule in plan.schedules.items()}
                )
            fill = _fill(call, state, plan.learner.precision.loss_scale, feed.batch(i))
            for grad in plan.grads:
                fill = grad.wrap(fill, state.weights)
            done = fill()
            state.optimizer.step()
            for name, average in plan.averages.items():
                average.update(state.averages[name], state.weights.all(), state.step)
            state.losses[..., i], state.hits[..., i] = done.loss, done.hits
            state.step += 1
            recorder.tick(state)
        _synchronize(plan.learner.mean.device)
        recorder.epoch(state, time.perf_counter() - began, plan.steps_per_epoch - first)


def _fill(call: Forward, state: State, scale: float, batch: tuple[Tensor, Tensor, Tensor, Tensor]) -> Fill:
    params = state.weights.params.values()

    def fill() -> Step:
        for p in params:
            p.grad = None
        loss, hits = call(*batch)
        (loss.sum() * scale).backward()  # type: ignore[no-untyped-call]
        if scale != 1:
            torch._foreach_div_([p.grad for p in params if p.grad is not None], scale)
        return Step(loss.detach(), hits)

    return fill


class Feed:
    """One epoch's batches: their order and keys are functions of (seed, epoch), sent to the device once."""

    def __init__(self, plan: Plan, epoch: int) -> None:
        n, size = plan.steps_per_epoch, plan.batch_size
        self.split, self.device = plan.train, plan.learner.mean.device
        numbers = torch.arange(epoch * n, (epoch + 1) * n)
        orders = [r.fold("order").fold(epoch).permutation(len(plan.train))[: n * size] for r in plan.roots]
        words = torch.stack([r.fold("step").fold(numbers).word for r in plan.roots], 1)
        index = torch.stack(orders, 1).reshape(n, size, -1).transpose(1, 2)
        if len(plan.roots) == 1:
            words, index = words[:, 0], index[:, 0]
        # Library layers that draw use torch's generator: seeded anew each step, it needs no saving.
        self.seeds = words.reshape(n, -1)[:, 0].tolist()
        self.index = index.contiguous().to(plan.train.x.device)
        self.words = words.to(self.device)
        self.t = (numbers / plan.steps).to(self.device)

    def batch(self, i: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Step i of the epoch: x ([lanes,] N, H, W, C) uint8, y ([lanes,] N), key word ([lanes]), t ()."""
        torch.manual_seed(self.seeds[i])
        index = self.index[i]
        flat = index.flatten()
        x = self.split.x.index_select(0, flat).view(*index.shape, *self.split.x.shape[1:])
        y = self.split.y.index_select(0, flat).view(index.shape)
        return x.to(self.device), y.to(self.device), self.words[i], self.t[i]


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
