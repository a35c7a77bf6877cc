"""Gradient centralisation."""

from __future__ import annotations

import torch

from ablation.types import Fill, Grad, Step, Tensors, Weights


def centralise(conv_only: bool = False) -> Grad:
    """Take from each output's gradient its mean (Yong et al. 2020, 2004.01461).

    g'_o = g_o - mean(g_o) for each output channel o of a convolution or linear layer, so over all but the first
    dimension of every parameter that has more than one; biases and norms are left as they are. A step of plain SGD then
    keeps the mean of each output's weights. `conv_only`: the linear layers are left as well.

    The gradient is the loss's: weight decay, which the optimiser adds later, is not centralised. Regularizers around
    the gradient are nested in their order: regularizer=[centralise,clip] clips what is centralised.

    Raises:
        ValueError: an argument is of another type.
    """
    if not isinstance(conv_only, bool):
        raise ValueError(f"conv_only: {conv_only!r} is neither true nor false")
    least = 3 if conv_only else 2  # a convolution over one dimension has three

    def centred(grads: Tensors) -> Tensors:
        return {
            n: g - g.mean(tuple(range(1, g.dim())), keepdim=True) if g.dim() >= least else g for n, g in grads.items()
        }

    def wrap(fill: Fill, weights: Weights) -> Fill:
        @torch.no_grad()
        def apply(grads: Tensors) -> None:
            torch._foreach_copy_(list(grads.values()), list(weights.each(centred, grads).values()))

        def centralised() -> Step:
            step = fill()
            apply(weights.grads())
            return step

        return centralised

    return Grad(wrap)
