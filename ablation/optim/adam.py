"""Adam."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import torch

from ablation.optim._arguments import from_zero, pair
from ablation.optim._groups import grouped
from ablation.types import Weights


def adam(
    weights: Weights,
    batch_size: int,
    lr: float = 1e-3,
    betas: Sequence[float] = (0.9, 0.999),
    eps: float = 1e-8,
    amsgrad: bool = False,
    weight_decay: float = 0.0,
    no_decay: Collection[str] = (),
    layer_decay: float = 1.0,
    lr_scaling: str = "none",
    lr_batch: int = 256,
) -> torch.optim.Optimizer:
    """Steps by averages of the gradient and of its square (Kingma & Ba 2014, 1412.6980).

    m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2; w = w - lr m/(1 - b1^t) / (sqrt(v/(1 - b2^t)) + eps). The decay is
    L2: g is the gradient plus weight_decay w, so that it is divided by sqrt(v) too; `adamw` keeps it apart. `amsgrad`
    divides by the largest v so far (Reddi et al. 2018, 1904.09237).

    `no_decay`, `layer_decay`, `lr_scaling` and `lr_batch` are as of `sgd`.

    Raises:
        ValueError: an argument is out of range.
    """
    split, rate = grouped(
        weights, batch_size, lr=lr, weight_decay=weight_decay, no_decay=no_decay,
        layer_decay=layer_decay, lr_scaling=lr_scaling, lr_batch=lr_batch,
    )  # fmt: skip
    from_zero(eps=eps)
    return torch.optim.Adam(split, lr=rate, betas=pair(betas), eps=eps, amsgrad=amsgrad, foreach=True)
