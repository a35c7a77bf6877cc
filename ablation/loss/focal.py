"""Focal loss."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ablation.types import Pass, Term

_LEAST = 1e-30  # of 1 - p: a power below 1 has no slope at 0


def focal(gamma: float = 2.0) -> Term:
    """Cross-entropy in which what is known already counts less (Lin et al. 2017, 1708.02002, equation 4).

    loss = -sum_k y_k (1 - p_k)^gamma log p_k with p the softmax, mean over the batch; gamma 0 is `ce`, 2 the paper's
    best.

    Differs: the paper has a sigmoid per class, for detection; this is the softmax's form, and the same for two classes.
    Soft targets mix the losses of their classes. No weights of classes (alpha there): those are for unequal numbers.

    Raises:
        ValueError: an argument is out of range.
    """
    if not 0 <= gamma < math.inf:
        raise ValueError(f"gamma: {gamma} is not a finite number from 0 up")

    def term(given: Pass) -> Tensor:
        log_p = given.logits.log_softmax(1, dtype=torch.float32)
        wrong = (-torch.expm1(log_p)).clamp_min(_LEAST)
        return -(given.batch.y * (wrong**gamma * log_p)).sum(1).mean()

    return term
