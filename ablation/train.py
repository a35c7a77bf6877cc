"""The loop. It knows no trick by name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ablation import generators
from ablation.ahead import Ahead, Drawn
from ablation.average import Average, Moment
from ablation.key import Key
from ablation.learner import Learner
from ablation.state import Forward, State, forward
from ablation.types import Fill, Grad, Schedule, Split, Step

Batch = tuple[Tensor, Tensor, Tensor, Tensor]  # x, y, key word, t


@dataclass(frozen=True)
class Plan:
    """What is to be trained, and for how long."""

    learner: Learner
    train: Split
    schedules: Mapping[str, Schedule]
    grads: Sequence[Grad]
    averages: Mapping[str, Average]
    reported: Sequence[str]  # those of the averages that are evaluated; the last one's weights are the result
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
    def step(self, state: State) -> None:
        """After each step. Must not read from the device."""

    @abstractmethod
    def epoch(self, state: State) -> None:
        """After each epoch, when its last step is done and told."""


def train(plan: Plan, state: State, recorder: Recorder) -> None:
    """Train from the state's step to the end, changing the state in place."""
    call, ahead = forward(plan.learner, state.weights, plan.compile), None if plan.compile else Ahead()
    while state.step < plan.steps:
        epoch, first = divmod(state.step, plan.steps_per_epoch)
        feed = Feed(plan, epoch, ahead)
        for i in range(first, plan.steps_per_epoch):
            for group in state.optimizer.param_groups:
                group.update({f: group[f"initial_{f}"] * s(state.step / plan.steps) for f, s in plan.schedules.items()})
            fill = _fill(call, state, plan.learner.precision.loss_scale, feed.seeds[i], feed.batch(i), feed.drawn(i))
            for grad in plan.grads:
                fill = grad.wrap(fill, state.weights)
            done = fill()
            state.optimizer.step()
            for name, average in plan.averages.items():
                moment = Moment(state.step, plan.steps, plan.steps_per_epoch)
                average.update(state.averages[name], state.weights.all(), moment)
            state.losses[..., i], state.hits[..., i] = done.loss, done.hits
            state.step += 1
            recorder.step(state)
        recorder.epoch(state)


def _fill(
    call: Forward,
    state: State,
    scale: float,
    seed: int,
    batch: tuple[Tensor, Tensor, Tensor, Tensor],
    drawn: Drawn | None,
) -> Fill:
    params, device = state.weights.params.values(), state.losses.device

    def fill() -> Step:
        # Library layers that draw use torch's generator: seeded for each pass, it needs no saving.
        generators.seed(device, seed)
        for p in params:
            p.grad = None
        loss, hits = call(*batch, drawn)
        (loss.sum() * scale).backward()  # type: ignore[no-untyped-call]
        if scale != 1:
            torch._foreach_div_([p.grad for p in params if p.grad is not None], scale)
        return Step(loss.detach(), hits)

    return fill


class Feed:
    """One epoch's batches: their order and keys are functions of (seed, epoch), sent to the device once.

    `ahead` makes draws ahead of the steps; without one the steps make them.
    """

    def __init__(self, plan: Plan, epoch: int, ahead: Ahead | None = None) -> None:
        n, size, self.ahead = plan.steps_per_epoch, plan.batch_size, ahead
        self.split, self.device = plan.train, plan.learner.mean.device
        numbers = torch.arange(epoch * n, (epoch + 1) * n)
        orders = [r.fold("order").fold(epoch).permutation(len(plan.train))[: n * size] for r in plan.roots]
        words = torch.stack([r.fold("step").fold(numbers).word for r in plan.roots], 1)
        index = torch.stack(orders, 1).reshape(n, size, -1).transpose(1, 2)
        if len(plan.roots) == 1:
            words, index = words[:, 0], index[:, 0]
        self.seeds = words.reshape(n, -1)[:, 0].tolist()
        self.index = index.contiguous().to(plan.train.x.device)
        self.words = words.to(self.device)
        self.t = (numbers / plan.steps).to(self.device)

    def batch(self, i: int) -> Batch:
        """Step i of the epoch: x ([lanes,] N, H, W, C) uint8, y ([lanes,] N), key word ([lanes]), t ()."""
        index = self.index[i]
        flat = index.flatten()
        x = self.split.x.index_select(0, flat).view(*index.shape, *self.split.x.shape[1:])
        y = self.split.y.index_select(0, flat).view(index.shape)
        if x.device != self.device:  # images too many for the device: gathered on the host, sent without waiting
            x, y = (part.pin_memory().to(self.device, non_blocking=True) for part in (x, y))
        return x, y, self.words[i], self.t[i]

    def drawn(self, i: int) -> Drawn | None:
        """What step i draws, as far as it is made ahead."""
        return None if self.ahead is None else self.ahead.step(self.words, i)
