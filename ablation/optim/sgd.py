"""Stochastic gradient descent with momentum."""

from __future__ import annotations

from collections.abc import Collection

import torch

from ablation.optim._arguments import share
from ablation.optim._groups import grouped
from ablation.types import Weights


def sgd(
    weights: Weights,
    batch_size: int,
    lr: float = 0.1,
    momentum: float = 0.9,
    nesterov: bool = False,
    weight_decay: float = 5e-4,
    no_decay: Collection[str] = (),
    layer_decay: float = 1.0,
    lr_scaling: str = "none",
    lr_batch: int = 256,
) -> torch.optim.SGD:
    """Mini-batch gradient descent with heavy-ball or Nesterov momentum and L2 weight decay.

    v = momentum v + (g + weight_decay w); w = w - lr v, or w - lr (g + weight_decay w + momentum v) with Nesterov
    (Sutskever et al. 2013). The learning rate is outside v, torch's form: a change of rate acts at once.

    As in every optimiser: `no_decay` exempts "bias" or "norm" parameters from the decay; `layer_decay` below 1
    multiplies the rate once for each block between a layer and the output; `lr_scaling` takes `lr` as the rate of a
    batch of `lr_batch` and makes it that of `batch_size`, "linear" or by its root, "sqrt" (see `_groups.py`).

    Raises:
        ValueError: an argument is out of range.
    """
    split, rate = grouped(
        weights, batch_size, lr=lr, weight_decay=weight_decay, no_decay=no_decay,
        layer_decay=layer_decay, lr_scaling=lr_scaling, lr_batch=lr_batch,
    )  # fmt: skip
    share(momentum=momentum)
    if nesterov and momentum == 0:
        raise ValueError("nesterov: needs momentum above 0")
    # Not `fused`: on the CPU it is wrong, without a word, for a gradient whose memory format is not its parameter's.
    return torch.optim.SGD(split, lr=rate, momentum=momentum, nesterov=nesterov, foreach=True)
