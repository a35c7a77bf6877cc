"""Sharpness-aware minimisation."""

from __future__ import annotations

import torch

from ablation.build import near
from ablation.regularizer._norm import global_norm
from ablation.types import Fill, Grad, Step, Tensors, Weights

STATS = ("first", "both")
SCOPES = ("weights", "gains", "all")


def sam(
    rho: float = 0.05, adaptive: bool = False, eta: float = 0.01, stats: str = "first", scope: str = "weights"
) -> Grad:
    """Take the gradient at the worst point near the weights (Foret et al. 2020, 2010.01412). Costs two passes a step.

    g' = grad L(w + e), e = rho g/||g||_2 over all parameters, one norm a seed; the optimiser then steps from w, which
    is restored bit for bit. rho 0.05 for CIFAR-10, 0.1 for CIFAR-100. Both passes see the same augmented batch and the
    same noise. What is reported is the first pass's loss.

    `adaptive`: ASAM (Kwon et al. 2021, 2102.11600), e = rho T^2 g/||T g||_2 with T = |w| + eta for what is in `scope`
    and 1 for the rest; rho is larger then, 0.5 for CIFAR-10, 1.0 for CIFAR-100. Scope "weights": without biases and
    normalisations. "gains": and the normalisations' gains, as in the authors' code. "all": every parameter, as in
    widespread code, there with eta 0.

    `stats`: batch norms' running statistics follow the first pass only, at the w that is kept, or both passes.

    Raises:
        ValueError: an argument is out of range.
    """
    if not 0 <= rho < float("inf"):
        raise ValueError(f"rho: {rho} is not a finite number from 0 up")
    if not 0 <= eta < float("inf"):
        raise ValueError(f"eta: {eta} is not a finite number from 0 up")
    if stats not in STATS:
        raise ValueError(f"stats: there is no {stats!r}; {near(stats, STATS)}")
    if scope not in SCOPES:
        raise ValueError(f"scope: there is no {scope!r}; {near(scope, SCOPES)}")

    def scales(name: str, kind: str) -> bool:
        return scope == "all" or kind == "weight" or (scope == "gains" and name.endswith("weight"))

    def wrap(fill: Fill, weights: Weights) -> Fill:
        def ascent(params: Tensors, grads: Tensors) -> Tensors:
            scaled = [n for n in grads if adaptive and scales(n, weights.kinds[n])]
            t = {n: params[n].abs() + eta for n in scaled}
            tg = {n: t[n] * g if n in t else g for n, g in grads.items()}
            factor = rho / (global_norm(tg) + 1e-12)
            return {n: (t[n] * v if n in t else v) * factor for n, v in tg.items()}

        def sharp() -> Step:
            step = fill()
            grads = weights.grads()
            params = {n: weights.params[n].detach() for n in grads}
            moved = params if stats == "both" else {**params, **weights.buffers}
            saved = [tensor.clone() for tensor in moved.values()]
            with torch.no_grad():
                torch._foreach_add_(list(params.values()), list(weights.each(ascent, params, grads).values()))
            try:
                fill()
            finally:  # also when interrupted: w is what a checkpoint must hold
                with torch.no_grad():
                    torch._foreach_copy_(list(moved.values()), saved)
            return step

        return sharp

    return Grad(wrap)
