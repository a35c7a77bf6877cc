"""Exponential moving average of the weights."""

from __future__ import annotations

import math

import torch

from ablation.average import Average, Moment
from ablation.regularizer._statistics import averaged_names, check_buffers, mix, weight_names
from ablation.types import Tensors

_FELT = 0.01  # of the initial weights: less is not worth a line


class Ema(Average):
    """See `ema`. The state is the averaged weights under the weights' own names."""

    def __init__(
        self,
        decay: float,
        warmup: bool,
        buffers: str,
        shrink: float = 0.0,
        copy_back: bool = False,
        reverse: bool = False,
    ) -> None:
        self.decay, self.warmup, self.buffers = decay, warmup, buffers
        self.shrink, self.copy_back, self.reverse = shrink, copy_back, reverse
        self.reestimate = buffers == "reestimate"

    def begin(self, weights: Tensors) -> Tensors:
        """A copy."""
        return {name: w.detach().clone() for name, w in weights.items()}

    @torch.no_grad()
    def update(self, state: Tensors, weights: Tensors, moment: Moment) -> None:
        """state = decay state + (1 - decay) weights; integers, such as counts of batches, are copied."""
        mix(state, weights, averaged_names(state, self.buffers), self._share(moment.step))
        names = weight_names(state)
        if self.shrink:
            torch._foreach_mul_([state[n] for n in names], 1 - self.shrink)
        if self.copy_back:
            torch._foreach_copy_([weights[n] for n in names], [state[n] for n in names])

    def weights(self, state: Tensors) -> Tensors:
        """The state itself."""
        return state

    def check(self, steps: int, steps_per_epoch: int) -> list[str]:
        """How much of the initial weights is left, unless training goes on from the average."""
        left = 1.0
        for step in range(steps):
            left *= 1 - self._share(step)
            if left <= _FELT or self.copy_back:
                return []
        kept = 1 - self.decay if self.reverse else self.decay
        most = math.floor(_FELT ** (1 / steps) * 1000) / 1000
        limit = f"at least {1 - most:g}" if self.reverse else f"at most {most:g}"
        way = f"give a decay of {limit}, or warmup=true"
        return [
            f"decay: {self.decay} leaves {left:.0%} of the initial weights in the average after all {steps} steps "
            f"({kept:g}^{steps}): {'train longer' if self.warmup else way}"
        ]

    def _share(self, step: int) -> float:
        """Of the new weights in the average."""
        decay = min(self.decay, (step + 1) / (step + 10)) if self.warmup else self.decay
        return decay if self.reverse else 1 - decay


def ema(
    decay: float = 0.999,
    warmup: bool = True,
    buffers: str = "average",
    weight_decay: float = 0.0,
    lr: float = 0.2,
    copy_back: bool = False,
    reversed: bool = False,
) -> Average:
    """Evaluate an exponential moving average of the weights (Tarvainen & Valpola 2017, 1703.01780).

    w' = a w' + (1 - a) w after each optimiser step, beginning with the initial weights; the memory is 1/(1 - a) steps.
    Training is untouched. decay 0 evaluates the weights themselves. `warmup`: a = min(decay, (t + 1)/(t + 10)) at step
    t from 0, as in TensorFlow's ExponentialMovingAverage with `num_updates` and the lab's code: the initial weights are
    forgotten in a few steps, and the memory is a ninth of the training so far until it is that of `decay`. Without it
    they are a share decay^steps of what is evaluated, 0.999^220 = 80 % of a short training's.

    `buffers`: the running statistics of batch norms are averaged likewise, or copied, or "reestimate"d from training
    batches before each evaluation. They belong to other weights when copied: in the lab's notes that cost 2.5 points at
    0.999 and 25 at 0.9999.

    Variants of the lab's notes, whose code is lost, as we read them. `weight_decay`: w' is then multiplied by
    1 - lr weight_decay, with an `lr` of its own that follows no schedule. `copy_back`: training goes on from w', which
    takes the place of w after each step; the optimiser keeps its momentum. `reversed`: the coefficients are swapped,
    w' = (1 - a) w' + a w. None of these is about the running statistics.

    Raises:
        ValueError: an argument is out of range.
    """
    if not 0 <= decay < 1:
        raise ValueError(f"decay: {decay} is not in [0, 1)")
    if reversed and decay == 0:
        raise ValueError("decay: 0 with its coefficients reversed never leaves the initial weights; use one above 0")
    check_buffers(buffers)
    for name, value in (("weight_decay", weight_decay), ("lr", lr)):
        if not 0 <= value < float("inf"):
            raise ValueError(f"{name}: {value} is not a finite number from 0 up")
    if lr * weight_decay >= 1:
        raise ValueError(f"weight_decay: {weight_decay} times lr {lr} leaves nothing of the average; use less")
    return Ema(decay, warmup, buffers, lr * weight_decay, copy_back, reversed)
