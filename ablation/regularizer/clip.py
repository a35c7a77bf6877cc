"""Gradient clipping."""

from __future__ import annotations

import torch

from ablation.regularizer._norm import global_norm
from ablation.types import Fill, Grad, Step, Tensors, Weights


def clip(max_norm: float = 1.0) -> Grad:
    """Scale the gradient down to an L2 norm of at most max_norm over all parameters (Pascanu et al. 2012, 1211.5063).

    g' = g min(1, max_norm / ||g||), one norm a seed. The norm is never read by the host. As in torch, 1e-6 is added to
    the norm, and weight decay, which the optimiser adds later, is not part of g. Regularizers around the gradient are
    nested in their order: [sam, clip] clips the gradient at the worst point, [clip, sam] those of both passes. With
    `cotrain` the norm is that of all networks' gradients together, in either order.

    Raises:
        ValueError: an argument is out of range.
    """
    if not max_norm > 0:
        raise ValueError(f"max_norm: {max_norm} is not above 0")

    def clipped(grads: Tensors) -> Tensors:
        factor = (max_norm / (global_norm(grads) + 1e-6)).clamp(max=1.0)
        return {name: g * factor for name, g in grads.items()}

    def wrap(fill: Fill, weights: Weights) -> Fill:
        @torch.no_grad()
        def apply(grads: Tensors) -> None:
            torch._foreach_copy_(list(grads.values()), list(weights.each(clipped, grads).values()))

        def clipped_fill() -> Step:
            step = fill()
            apply(weights.grads())
            return step

        return clipped_fill

    return Grad(wrap)
