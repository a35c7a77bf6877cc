"""Mixup."""

from __future__ import annotations

import torch

from ablation.aug._pair import PERS, gathered
from ablation.build import near
from ablation.key import Key
from ablation.types import Aug, Batch


def mixup(alpha: float = 1.0, per: str = "batch", larger: bool = False) -> Aug:
    """Train on convex combinations of pairs of examples and of their targets (Zhang et al. 2017, 1710.09412).

    x' = lam x + (1 - lam) x[partner], and y' likewise, with lam ~ Beta(alpha, alpha) and partner a random permutation
    of the batch. alpha 1.0 for CIFAR, 0.2 for ImageNet. alpha 0 changes nothing: the limit, which the paper calls the
    empirical risk minimisation principle. With cross-entropy, mixing the losses is the same as mixing the targets.

    Options: one lam per batch, as in the paper, or per sample; `larger` takes max(lam, 1 - lam), so that the target
    keeps its own label on top.

    Raises:
        ValueError: an argument is out of range.
    """
    if not 0 <= alpha < float("inf"):
        raise ValueError(f"alpha: {alpha} is not a finite number from 0 up")
    if per not in PERS:
        raise ValueError(f"per: there is no {per!r}; {near(per, PERS)}")

    def apply(batch: Batch, key: Key) -> Batch:
        if alpha == 0:
            return batch
        n = len(batch.x)
        lam = key.fold("lam").beta(alpha, alpha, n if per == "sample" else 1)
        lam = torch.maximum(lam, 1 - lam) if larger else lam
        partner = key.fold("partner").permutation(n)
        # lerp(a, a, lam) is a, bit for bit.
        x = torch.lerp(gathered(batch.x, partner), batch.x, lam[:, None, None, None])
        y = torch.lerp(batch.y.index_select(0, partner), batch.y, lam[:, None])
        return batch._replace(x=x, y=y)

    return apply
