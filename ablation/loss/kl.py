"""Kullback-Leibler divergence from the targets."""

from __future__ import annotations

import torch
from torch import Tensor

from ablation.loss.ce import cross_entropy
from ablation.types import Pass, Term


def entropy(targets: Tensor) -> Tensor:
    """H(y) = -sum_k y_k log y_k in nats of rows (N, K) that sum to one, mean over the batch; 0 log 0 is 0."""
    summed: Tensor = torch.special.xlogy(targets, targets).sum(1)
    return -summed.mean()


def divergence(targets: Tensor, logits: Tensor) -> Tensor:
    """KL(y || p) in nats, mean over the batch, of targets (N, K) and the softmax of logits (N, K)."""
    return cross_entropy(logits, targets) - entropy(targets)


def kl() -> Term:
    """KL(y || p) = H(y, p) - H(y) of the targets and the softmax, mean over the batch (torch's "batchmean").

    The targets' entropy H(y) depends on no weight, so this trains exactly as `ce` does, bit for bit; only the loss that
    is reported differs, and with hard labels (H(y) = 0) not even that. Some code mixes (Zhang et al. 2017, 1710.09412)
    with this loss: an arm with it is a control.
    """

    def term(given: Pass) -> Tensor:
        return divergence(given.batch.y, given.logits)

    return term
