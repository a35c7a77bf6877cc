"""Stochastic weight averaging."""

from __future__ import annotations

import math

import torch

from ablation.average import Average, Moment
from ablation.regularizer._statistics import averaged_names, check_buffers, mix
from ablation.types import Tensors


class Swa(Average):
    """See `swa`. The state is the averaged weights under the weights' own names."""

    def __init__(self, start: float, every: int, buffers: str) -> None:
        self.start, self.every, self.buffers = start, every, buffers
        self.reestimate = buffers == "reestimate"

    def begin(self, weights: Tensors) -> Tensors:
        """A copy."""
        return {name: w.detach().clone() for name, w in weights.items()}

    @torch.no_grad()
    def update(self, state: Tensors, weights: Tensors, moment: Moment) -> None:
        """At the end of an epoch: before the start the weights themselves, then every so often one more in the mean."""
        if not moment.epoch_ended:
            return
        epoch, epochs = (moment.step + 1) // moment.steps_per_epoch, moment.steps // moment.steps_per_epoch
        since = epoch - self._first(epochs)
        if since < 0 or since % self.every == 0:
            mix(state, weights, averaged_names(state, self.buffers), 1 / (max(since, 0) // self.every + 1))

    def weights(self, state: Tensors) -> Tensors:
        """The state itself."""
        return state

    def check(self, steps: int, steps_per_epoch: int) -> list[str]:
        """Whether there is more than one epoch's weights to take a mean of, unless that is asked for by start 1."""
        epochs = steps // steps_per_epoch
        first = self._first(epochs)
        if self.start == 1 or (epochs - first) // self.every:
            return []
        return [
            f"start: {self.start:g} of {epochs} epochs is the end of epoch {first}, and every {self.every} epochs from "
            f"there on gives one in all: the mean is of one epoch's weights; begin earlier, or train longer"
        ]

    def _first(self, epochs: int) -> int:
        """The epoch, from 1, with whose end the mean begins."""
        return max(1, math.ceil(self.start * epochs - 1e-9))


def swa(start: float = 0.75, every: int = 1, buffers: str = "reestimate") -> Average:
    """Evaluate the mean of the weights along the end of the training (Izmailov et al. 2018, 1803.05407).

    w_SWA = the mean of the weights at the end of the epoch with which the share `start` of the training is over, and of
    those `every` so many epochs later. Training is untouched; before that epoch the weights of the last one themselves
    are evaluated. start 1 only ever does that.

    The paper's learning rates are `sched`'s affair: sched=constant averages along a constant one; with sched=sgdr and
    `every` the length of its cycles, `start` at the end of one, the weights at the lowest rates are averaged. Under a
    rate that falls to 0, as cosine's, the weights hardly move at the end, and there is little to average.

    `buffers`: "reestimate", as the paper does, takes the running statistics of batch norms anew from training batches
    before each evaluation (and from the first epoch on). They can be averaged like weights, or copied from the last.

    Raises:
        ValueError: an argument is out of range.
    """
    if not 0 <= start <= 1:
        raise ValueError(f"start: {start} is not in [0, 1]; it is a share of the training")
    if every != int(every) or every < 1:
        raise ValueError(f"every: {every} is not a whole number of epochs from 1 up")
    check_buffers(buffers)
    return Swa(start, int(every), buffers)
