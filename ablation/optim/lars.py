"""LARS: SGD with a rate for each layer."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor

from ablation.optim._arguments import positive, share
from ablation.optim._groups import exempts, grouped
from ablation.optim._own import Moments, Own, decay_l2
from ablation.types import Weights


class _Lars(Own):
    def moments(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("momentum_buffer",)

    def update(self, group: dict[str, Any], params: list[Tensor], grads: list[Tensor], moments: Moments) -> None:
        decay, momentum = group["weight_decay"], group["momentum"]
        steps = decay_l2(params, grads, decay)
        if group["adapt"]:
            rates = [
                torch.where((w > 0) & (g > 0), group["trust"] * w / (g + decay * w), 1.0)
                for w, g in zip(self.norms(params), self.norms(grads), strict=True)
            ]
            steps = list(torch._foreach_mul(steps, rates))
        v = moments["momentum_buffer"]
        torch._foreach_mul_(v, momentum)
        torch._foreach_add_(v, steps)
        steps = list(torch._foreach_add(steps, v, alpha=momentum)) if group["nesterov"] else v
        torch._foreach_add_(params, steps, alpha=-group["lr"])


def lars(
    weights: Weights,
    batch_size: int,
    lr: float = 1.0,
    momentum: float = 0.9,
    nesterov: bool = False,
    trust: float = 1e-3,
    no_adapt: Collection[str] = ("bias", "norm"),
    weight_decay: float = 5e-4,
    no_decay: Collection[str] = ("bias", "norm"),
    layer_decay: float = 1.0,
    lr_scaling: str = "none",
    lr_batch: int = 256,
) -> torch.optim.Optimizer:
    """SGD with each layer's rate in proportion to the norm of its weights (You et al. 2017, 1708.03888).

    v = momentum v + r (g + weight_decay w), w = w - lr v, with r = trust |w|/(|g| + weight_decay |w|) for each
    parameter tensor, and 1 where |w| or |g| is 0. Biases and norms are stepped as by `sgd` (r = 1) and not decayed, as
    in most code for large batches; the paper's letter is no_adapt=[] no_decay=[]. Differs: lr is outside v.

    `no_decay`, `layer_decay`, `lr_scaling` and `lr_batch` are as of `sgd`.

    Raises:
        ValueError: an argument is out of range.
    """
    plain = exempts(weights, no_adapt, "no_adapt")
    split, rate = grouped(
        weights, batch_size, lr=lr, weight_decay=weight_decay, no_decay=no_decay,
        layer_decay=layer_decay, lr_scaling=lr_scaling, lr_batch=lr_batch, mark=lambda name: {"adapt": not plain(name)},
    )  # fmt: skip
    share(momentum=momentum)
    positive(trust=trust)
    if nesterov and momentum == 0:
        raise ValueError("nesterov: needs momentum above 0")
    options = {"momentum": momentum, "nesterov": nesterov, "trust": trust, "adapt": True}
    return _Lars(split, weights.lanes, lr=rate, **options)
