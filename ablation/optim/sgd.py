"""Stochastic gradient descent with momentum."""

from __future__ import annotations

from collections.abc import Collection

import torch

from ablation.optim._groups import groups
from ablation.types import Weights


def sgd(
    weights: Weights,
    lr: float = 0.1,
    momentum: float = 0.9,
    nesterov: bool = False,
    weight_decay: float = 5e-4,
    no_decay: Collection[str] = (),
) -> torch.optim.SGD:
    """Mini-batch gradient descent with heavy-ball or Nesterov momentum and L2 weight decay.

    v = momentum v + (g + weight_decay w); w = w - lr v, or w - lr (g + weight_decay w + momentum v) with Nesterov
    (Sutskever et al. 2013). The learning rate is outside v, torch's form: a change of rate acts at once. `no_decay`
    exempts "bias" or "norm" parameters from the decay.

    Raises:
        ValueError: an argument is out of range.
    """
    if not 0 < lr < float("inf"):
        raise ValueError(f"lr: {lr} is not a finite number above 0")
    if not 0 <= momentum < 1:
        raise ValueError(f"momentum: {momentum} is not in [0, 1)")
    if nesterov and momentum == 0:
        raise ValueError("nesterov: needs momentum above 0")
    if not 0 <= weight_decay < float("inf"):
        raise ValueError(f"weight_decay: {weight_decay} is not a finite number from 0 up")
    # Not `fused`: on the CPU it is wrong, without a word, for a gradient whose memory format is not its parameter's.
    return torch.optim.SGD(
        groups(weights, weight_decay, no_decay), lr=lr, momentum=momentum, nesterov=nesterov, foreach=True
    )
