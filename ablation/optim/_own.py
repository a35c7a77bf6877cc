"""The optimisers that torch has not, or not for lanes: every tensor op is over all parameters of a group at once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor

Moments = dict[str, list[Tensor]]


class Own(torch.optim.Optimizer, ABC):
    """An optimiser that is a function of a group's parameters, gradients and moments.

    The moments start at zero and are each parameter's state; how many steps were taken is the group's, as a number:
    reading it waits for no device.
    """

    def __init__(self, groups: list[dict[str, Any]], lanes: int | None, **defaults: Any) -> None:
        super().__init__(groups, {**defaults, "step": 0})
        self.lanes = lanes

    @abstractmethod
    def moments(self, group: dict[str, Any]) -> tuple[str, ...]:
        """The names of the moments that parameters of this group have."""

    @abstractmethod
    def update(self, group: dict[str, Any], params: list[Tensor], grads: list[Tensor], moments: Moments) -> None:
        """One step: change parameters and moments in place, and no gradient."""

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One step of every group."""
        for group in self.param_groups:
            group["step"] += 1
            params = [p for p in group["params"] if p.grad is not None]
            if not params:
                continue
            names = self.moments(group)
            for p in params:
                for name in names:
                    if name not in self.state[p]:
                        self.state[p][name] = torch.zeros_like(p)
            moments = {name: [self.state[p][name] for p in params] for name in names}
            self.update(group, params, [p.grad for p in params], moments)

    def norms(self, tensors: list[Tensor]) -> list[Tensor]:
        """Each tensor's Euclidean norm, to be multiplied with it: 0-dim, or with lanes one a lane."""
        if self.lanes is None:
            return list(torch._foreach_norm(tensors))
        # Without a dimension to sum over, torch would sum over all: a scalar parameter's lanes are its elements.
        return [
            torch.linalg.vector_norm(t, dim=tuple(range(1, t.ndim)), keepdim=True) if t.ndim > 1 else t.abs()
            for t in tensors
        ]


def decay_l2(params: list[Tensor], grads: list[Tensor], weight_decay: float) -> list[Tensor]:
    """The gradients with that of weight_decay |w|^2/2."""
    return list(torch._foreach_add(grads, params, alpha=weight_decay)) if weight_decay else grads


def adam_direction(group: dict[str, Any], grads: list[Tensor], moments: Moments) -> list[Tensor]:
    """Adam's m/(1 - b1^t) / (sqrt(v/(1 - b2^t)) + eps) (Kingma & Ba 2014, 1412.6980), after updating m and v."""
    (b1, b2), step = group["betas"], group["step"]
    m, v = moments["exp_avg"], moments["exp_avg_sq"]
    torch._foreach_lerp_(m, grads, 1 - b1)
    torch._foreach_mul_(v, b2)
    torch._foreach_addcmul_(v, grads, grads, 1 - b2)
    below = torch._foreach_sqrt(v)
    torch._foreach_div_(below, (1 - b2**step) ** 0.5)
    torch._foreach_add_(below, group["eps"])
    out = torch._foreach_div(m, below)
    torch._foreach_div_(out, 1 - b1**step)
    return list(out)
