"""AdaBound: Adam that turns into SGD."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import torch
from torch import Tensor

from ablation.optim._arguments import from_zero, pair, positive
from ablation.optim._groups import grouped
from ablation.optim._own import Moments, Own, decay_l2
from ablation.types import Weights


class _AdaBound(Own):
    """`final` is the final rate in units of the learning rate."""

    def moments(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("exp_avg", "exp_avg_sq", *(["max_exp_avg_sq"] if group["amsbound"] else []))

    def update(self, group: dict[str, Any], params: list[Tensor], grads: list[Tensor], moments: Moments) -> None:
        (b1, b2), lr, step = group["betas"], group["lr"], group["step"]
        grads = decay_l2(params, grads, group["weight_decay"])
        m, v = moments["exp_avg"], moments["exp_avg_sq"]
        torch._foreach_lerp_(m, grads, 1 - b1)
        torch._foreach_mul_(v, b2)
        torch._foreach_addcmul_(v, grads, grads, 1 - b2)
        if group["amsbound"]:
            torch._foreach_maximum_(moments["max_exp_avg_sq"], v)
            v = moments["max_exp_avg_sq"]
        rates = torch._foreach_sqrt(v)
        torch._foreach_add_(rates, group["eps"])
        torch._foreach_reciprocal_(rates)
        torch._foreach_mul_(rates, lr * (1 - b2**step) ** 0.5 / (1 - b1**step))
        final, passed = lr * group["final"], group["gamma"] * step
        torch._foreach_clamp_min_(rates, final * (1 - 1 / (passed + 1)))
        torch._foreach_clamp_max_(rates, final * (1 + 1 / passed))
        torch._foreach_addcmul_(params, rates, m, -1)


def adabound(
    weights: Weights,
    batch_size: int,
    lr: float = 1e-3,
    final_lr: float = 0.1,
    betas: Sequence[float] = (0.9, 0.999),
    gamma: float = 1e-3,
    eps: float = 1e-8,
    amsbound: bool = False,
    weight_decay: float = 0.0,
    no_decay: Collection[str] = (),
    layer_decay: float = 1.0,
    lr_scaling: str = "none",
    lr_batch: int = 256,
) -> torch.optim.Optimizer:
    """Adam with each weight's rate between bounds that meet at that of SGD (Luo et al. 2019, 1902.09843).

    With m and v as in Adam and t from 1, w = w - r m, where r = lr sqrt(1 - b2^t)/(1 - b1^t) / (sqrt(v) + eps) is cut
    to [f (1 - 1/(gamma t + 1)), f (1 + 1/(gamma t))] and f is `final_lr`. `amsbound` takes the largest v so far. The
    decay is L2. No table has it: the CIFAR tricks README names it without a number, and its code passes lr=0.1.
    Differs: as in the authors' code rates are not divided by sqrt(t), and f follows lr: it is multiplied by the
    schedule, the batch's scaling and the layers' decay.

    `no_decay`, `layer_decay`, `lr_scaling` and `lr_batch` are as of `sgd`.

    Raises:
        ValueError: an argument is out of range.
    """
    split, rate = grouped(
        weights, batch_size, lr=lr, weight_decay=weight_decay, no_decay=no_decay,
        layer_decay=layer_decay, lr_scaling=lr_scaling, lr_batch=lr_batch,
    )  # fmt: skip
    positive(final_lr=final_lr, gamma=gamma)
    from_zero(eps=eps)
    options = {"betas": pair(betas), "gamma": gamma, "eps": eps, "amsbound": amsbound}
    return _AdaBound(split, weights.lanes, lr=rate, final=final_lr / lr, **options)
