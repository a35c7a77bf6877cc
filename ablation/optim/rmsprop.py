"""RMSprop."""

from __future__ import annotations

from collections.abc import Collection

import torch

from ablation.optim._arguments import from_zero, share
from ablation.optim._groups import grouped
from ablation.types import Weights


def rmsprop(
    weights: Weights,
    batch_size: int,
    lr: float = 1e-2,
    alpha: float = 0.99,
    eps: float = 1e-8,
    momentum: float = 0.0,
    centered: bool = False,
    weight_decay: float = 0.0,
    no_decay: Collection[str] = (),
    layer_decay: float = 1.0,
    lr_scaling: str = "none",
    lr_batch: int = 256,
) -> torch.optim.Optimizer:
    """Gradients divided by the root of an average of their squares (Tieleman & Hinton 2012, Coursera lecture 6.5).

    v = alpha v + (1 - alpha) g^2; u = momentum u + g/(sqrt(v) + eps); w = w - lr u. `centered` takes the square of the
    averaged gradient off v (Graves 2013, 1308.0850). The decay is L2. Differs: TensorFlow's has eps under the root and
    lr inside u.

    `no_decay`, `layer_decay`, `lr_scaling` and `lr_batch` are as of `sgd`.

    Raises:
        ValueError: an argument is out of range.
    """
    split, rate = grouped(
        weights, batch_size, lr=lr, weight_decay=weight_decay, no_decay=no_decay,
        layer_decay=layer_decay, lr_scaling=lr_scaling, lr_batch=lr_batch,
    )  # fmt: skip
    share(alpha=alpha, momentum=momentum)
    from_zero(eps=eps)
    return torch.optim.RMSprop(split, lr=rate, alpha=alpha, eps=eps, momentum=momentum, centered=centered, foreach=True)
