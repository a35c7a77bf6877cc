"""Muon: momentum, orthogonalised."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import torch
from torch import Tensor

from ablation.optim._arguments import from_zero, known, pair, positive, share
from ablation.optim._depth import HEAD
from ablation.optim._groups import Group, grouped
from ablation.optim._orthogonal import DTYPES, matrices, orthogonalise
from ablation.optim._own import Moments, Own, adam_direction
from ablation.types import Weights

SCALES = {
    "original": lambda rows, columns: max(1.0, rows / columns) ** 0.5,
    "rms": lambda rows, columns: 0.2 * max(rows, columns) ** 0.5,
}
RESTS = ("adamw", "sgd")
_MOST_ITERATIONS = 100  # after some ten nothing changes; of more by a slip, a step would never end


class _Muon(Own):
    def moments(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("exp_avg", "exp_avg_sq") if group["rule"] == "adamw" else ("momentum_buffer",)

    def update(self, group: dict[str, Any], params: list[Tensor], grads: list[Tensor], moments: Moments) -> None:
        rule = {"muon": self._matrices, "adamw": adam_direction, "sgd": self._sgd}[group["rule"]]
        steps = rule(group, grads, moments)
        torch._foreach_mul_(params, 1 - group["lr"] * group["weight_decay"])
        torch._foreach_add_(params, steps, alpha=-group["lr"])

    def _matrices(self, group: dict[str, Any], grads: list[Tensor], moments: Moments) -> list[Tensor]:
        v, momentum = moments["momentum_buffer"], group["momentum"]
        torch._foreach_lerp_(v, grads, 1 - momentum)
        mean = torch._foreach_lerp(grads, v, momentum) if group["nesterov"] else v
        return orthogonalise(list(mean), self.lanes, group["iterations"], group["dtype"], SCALES[group["scale"]])

    def _sgd(self, group: dict[str, Any], grads: list[Tensor], moments: Moments) -> list[Tensor]:
        v, momentum = moments["momentum_buffer"], group["momentum"]
        torch._foreach_mul_(v, momentum)
        torch._foreach_add_(v, grads)
        return list(torch._foreach_add(grads, v, alpha=momentum)) if group["nesterov"] else v


def muon(
    weights: Weights,
    batch_size: int,
    lr: float = 0.02,
    momentum: float = 0.95,
    nesterov: bool = True,
    iterations: int = 5,
    scale: str = "original",
    dtype: str = "bf16",
    head: bool = False,
    rest: str = "adamw",
    rest_lr: float = 3e-4,
    betas: Sequence[float] = (0.9, 0.95),
    eps: float = 1e-10,
    weight_decay: float = 0.0,
    no_decay: Collection[str] = (),
    layer_decay: float = 1.0,
    lr_scaling: str = "none",
    lr_batch: int = 256,
) -> torch.optim.Optimizer:
    """Matrices step along their momentum, made nearly orthogonal (Jordan 2024, kellerjordan.github.io/posts/muon).

    v = momentum v + (1 - momentum) g, u = (1 - momentum) g + momentum v with Nesterov or else v; w = (1 - lr
    weight_decay) w - lr s O(u). O takes every singular value near 1 by Newton-Schulz `iterations` of a quintic, in
    `dtype`; s is "original", sqrt(max(1, rows/columns)), or "rms", 0.2 sqrt(max(rows, columns)), by which rates and
    decays made for AdamW serve (Liu et al. 2025, 2502.16982). Matrices are the weights of convolutions, a row an output
    channel, and of linear layers, but for the head's unless `head`.

    The `rest` learns at `rest_lr`: by "adamw", with `betas` and `eps`, or by "sgd", with `momentum` and `nesterov`; its
    decay too is decoupled. A schedule multiplies both rates; its own rates (eta, warmup_start) are on lr's scale.
    Differs: in the author's code s of a convolution is 1, by the sides of its kernel.

    `no_decay`, `layer_decay`, `lr_scaling` and `lr_batch` are as of `sgd`, for both rates.

    Raises:
        ValueError: an argument is out of range.
    """
    known([scale], SCALES, "scale")
    known([dtype], DTYPES, "dtype")
    known([rest], RESTS, "rest")
    share(momentum=momentum)
    positive(rest_lr=rest_lr)
    if type(iterations) is not int or not 1 <= iterations <= _MOST_ITERATIONS:
        raise ValueError(f"iterations: {iterations} is not a whole number from 1 to {_MOST_ITERATIONS}")
    from_zero(eps=eps)
    chosen = matrices(weights, () if head else (HEAD,))

    def mark(name: str) -> Group:
        return {"rule": "muon"} if name in chosen else {"rule": rest, "lr": rest_lr}

    split, rate = grouped(
        weights, batch_size, lr=lr, weight_decay=weight_decay, no_decay=no_decay,
        layer_decay=layer_decay, lr_scaling=lr_scaling, lr_batch=lr_batch, mark=mark,
    )  # fmt: skip
    options = {"momentum": momentum, "nesterov": nesterov, "betas": pair(betas), "eps": eps}
    own = {"iterations": iterations, "scale": scale, "dtype": dtype, "rule": "muon"}
    return _Muon(split, weights.lanes, lr=rate, **options, **own)
