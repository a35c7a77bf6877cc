"""Confidence penalty."""

from __future__ import annotations

import math

from torch import Tensor

from ablation.types import Pass, Penalty


def confidence_penalty(beta: float = 0.1) -> Penalty:
    """Reward answers for their entropy (Pereyra et al. 2017, 1701.06548, equation 2).

    loss = ... - beta H(p), H(p) = -sum_k p_k log p_k of the softmax, mean over the batch. Since log K - H(p) is
    KL(p || uniform), this is label smoothing with its divergence reversed. beta 0.1 for CIFAR-10 there.

    Differs: without the paper's two variations (a beta that grows, an entropy from which on there is no reward).

    Raises:
        ValueError: an argument is out of range.
    """
    if not 0 <= beta < math.inf:
        raise ValueError(f"beta: {beta} is not a finite number from 0 up")

    def term(given: Pass) -> Tensor:
        log_p = given.logits.float().log_softmax(1)
        return beta * (log_p.exp() * log_p).sum(1).mean()

    return Penalty(lambda model: term)
