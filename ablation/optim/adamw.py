"""Adam with decoupled weight decay."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import torch

from ablation.optim._arguments import from_zero, pair
from ablation.optim._groups import grouped
from ablation.types import Weights


def adamw(
    weights: Weights,
    batch_size: int,
    lr: float = 1e-3,
    betas: Sequence[float] = (0.9, 0.999),
    eps: float = 1e-8,
    amsgrad: bool = False,
    weight_decay: float = 0.01,
    no_decay: Collection[str] = (),
    layer_decay: float = 1.0,
    lr_scaling: str = "none",
    lr_batch: int = 256,
) -> torch.optim.Optimizer:
    """Adam whose weight decay is no part of the gradient (Loshchilov & Hutter 2017, 1711.05101).

    w = (1 - lr weight_decay) w, then Adam's step with the plain gradient. Differs: in the paper the decay is multiplied
    by the schedule alone; here, as in torch, by the scheduled learning rate.

    `no_decay`, `layer_decay`, `lr_scaling` and `lr_batch` are as of `sgd`.

    Raises:
        ValueError: an argument is out of range.
    """
    split, rate = grouped(
        weights, batch_size, lr=lr, weight_decay=weight_decay, no_decay=no_decay,
        layer_decay=layer_decay, lr_scaling=lr_scaling, lr_batch=lr_batch,
    )  # fmt: skip
    from_zero(eps=eps)
    return torch.optim.AdamW(split, lr=rate, betas=pair(betas), eps=eps, amsgrad=amsgrad, foreach=True)
