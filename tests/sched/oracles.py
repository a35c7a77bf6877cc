"""What other libraries say of a schedule, epoch by epoch."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable

import torch
from timm.scheduler.scheduler import Scheduler
from torch.optim import lr_scheduler as torchs

from ablation.types import Schedule

LR, EPOCHS = 0.2, 200


def rates(schedules: dict[str, Schedule], epochs: int = EPOCHS, lr: float = LR) -> list[float]:
    """The learning rate at the beginning of each epoch."""
    assert list(schedules) == ["lr"]
    return [lr * schedules["lr"](epoch / epochs) for epoch in range(epochs)]


def factory(name: str) -> Callable[..., dict[str, Schedule]]:
    """The schedule of this name."""
    found: Callable[..., dict[str, Schedule]] = getattr(importlib.import_module(f"ablation.sched.{name}"), name)
    return found


def optimizer() -> torch.optim.SGD:
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=LR)


def stepped(scheduler: torchs.LRScheduler, epochs: int = EPOCHS) -> list[float]:
    """What a torch scheduler says at the beginning of each epoch."""
    found = []
    with warnings.catch_warnings():
        # torch warns that the optimiser never stepped, and in SequentialLR about an argument that it passes itself.
        warnings.simplefilter("ignore", UserWarning)
        for _ in range(epochs):
            found.append(float(scheduler.get_last_lr()[0]))
            scheduler.step()
    return found


def warm_then(after: torchs.LRScheduler, warmup: int, start: float) -> torchs.LRScheduler:
    warm = torchs.LinearLR(after.optimizer, start_factor=start / LR, total_iters=warmup)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return torchs.SequentialLR(after.optimizer, [warm, after], milestones=[warmup])


def asked(scheduler: Scheduler, epochs: int = EPOCHS) -> list[float]:
    """What a timm scheduler says at the beginning of each epoch."""
    return [float(scheduler._get_lr(epoch)[0]) for epoch in range(epochs)]
