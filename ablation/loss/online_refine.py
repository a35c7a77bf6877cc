"""Refining the labels by the student itself while it is trained."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ablation.build import near
from ablation.loss._previous import Previous
from ablation.loss.ce import cross_entropy
from ablation.regularizer.ema import ema
from ablation.types import Pass, Taught

TEACHERS, GROWTHS = ("ema", "epoch"), ("linear", "constant")


def online_refine(
    teacher: str = "ema", decay: float = 0.999, alpha: float = 0.8, growth: str = "linear", temperature: float = 1.0
) -> Taught:
    """Mix the labels with what earlier weights of the student say of the same images; needs no `teacher=`.

    A working definition of our own: the lab's notes name "online refine" with neither code nor number.

    loss = H((1 - a) y + a q, p), q = softmax(g/T) of the earlier weights' logits g, in evaluation mode; a = alpha t
    with t the progress of the training in [0, 1) (`growth` "linear"), or alpha ("constant").

    `teacher` "epoch": the weights of the end of the previous epoch, which is PS-KD (Kim et al. 2020, 2006.12000) with
    its alpha of 0.8. "ema": an exponential moving average of the weights, with min(decay, (s + 1)/(s + 10)) at step s,
    the teacher of Mean Teacher (Tarvainen and Valpola 2017, 1703.01780); `decay` is used only here.

    Differs: PS-KD's a grows once an epoch, and here each step, and in the first epoch the teacher is the initial
    network, with a at most alpha over the number of epochs. Mean Teacher adds the squared distance of both softmaxes
    to the labels' loss, also for images without labels; here q replaces a part of the labels.

    Raises:
        ValueError: an argument is out of range.
    """
    if teacher not in TEACHERS:
        raise ValueError(f"teacher: there is no {teacher!r}; {near(teacher, TEACHERS)}")
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha: {alpha} is not in [0, 1]; it is the share of the earlier weights")
    if growth not in GROWTHS:
        raise ValueError(f"growth: there is no {growth!r}; {near(growth, GROWTHS)}")
    if not 0 < temperature < math.inf:
        raise ValueError(f"temperature: {temperature} is not a number above 0")
    averaged = ema(decay, warmup=True)  # refuses a bad decay, used or not

    def term(given: Pass, earlier: Tensor) -> Tensor:
        q = (earlier.float() / temperature).softmax(1)
        share = alpha * (given.batch.t if growth == "linear" else torch.ones_like(given.batch.t))
        return cross_entropy(given.logits, torch.lerp(given.batch.y, q, share))

    return Taught(term, own=averaged if teacher == "ema" else Previous())
