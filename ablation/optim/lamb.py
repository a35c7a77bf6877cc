"""LAMB: Adam with a rate for each layer."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import torch
from torch import Tensor

from ablation.optim._arguments import from_zero, pair
from ablation.optim._groups import exempts, grouped
from ablation.optim._own import Moments, Own, adam_direction
from ablation.types import Weights


class _Lamb(Own):
    def moments(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("exp_avg", "exp_avg_sq")

    def update(self, group: dict[str, Any], params: list[Tensor], grads: list[Tensor], moments: Moments) -> None:
        steps = adam_direction(group, grads, moments)
        if group["weight_decay"]:
            torch._foreach_add_(steps, params, alpha=group["weight_decay"])
        if group["adapt"]:
            norms = zip(self.norms(params), self.norms(steps), strict=True)
            torch._foreach_mul_(steps, [torch.where((w > 0) & (u > 0), w / u, 1.0) for w, u in norms])
        torch._foreach_add_(params, steps, alpha=-group["lr"])


def lamb(
    weights: Weights,
    batch_size: int,
    lr: float = 5e-3,
    betas: Sequence[float] = (0.9, 0.999),
    eps: float = 1e-6,
    no_adapt: Collection[str] = ("bias", "norm"),
    weight_decay: float = 0.01,
    no_decay: Collection[str] = ("bias", "norm"),
    layer_decay: float = 1.0,
    lr_scaling: str = "none",
    lr_batch: int = 256,
) -> torch.optim.Optimizer:
    """Adam's direction with each layer's step in proportion to the norm of its weights (You et al. 2019, 1904.00962).

    With u = Adam's direction + weight_decay w, w = w - lr u |w|/|u| for each parameter tensor, and w - lr u where |w|
    or |u| is 0, and for biases and norms, which are not decayed either, as in the authors' code. The averages are
    corrected for their start, as in the paper's algorithm 2. Differs: |w| is not clamped (the paper's phi is the
    identity), nor is the gradient, for which there is `regularizer=clip`.

    `no_decay`, `layer_decay`, `lr_scaling` and `lr_batch` are as of `sgd`.

    Raises:
        ValueError: an argument is out of range.
    """
    plain = exempts(weights, no_adapt, "no_adapt")
    split, rate = grouped(
        weights, batch_size, lr=lr, weight_decay=weight_decay, no_decay=no_decay,
        layer_decay=layer_decay, lr_scaling=lr_scaling, lr_batch=lr_batch, mark=lambda name: {"adapt": not plain(name)},
    )  # fmt: skip
    from_zero(eps=eps)
    return _Lamb(split, weights.lanes, lr=rate, betas=pair(betas), eps=eps, adapt=True)
