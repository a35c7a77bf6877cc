"""Cross-entropy."""

from __future__ import annotations

import torch
from torch import Tensor

from ablation.types import Pass, Term


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean over the batch of -sum_k y_k log softmax(logits)_k in float32; both are (N, K), the targets soft."""
    return -(targets * logits.log_softmax(1, dtype=torch.float32)).sum(1).mean()


def ce() -> Term:
    """Cross-entropy of the softmax, H(y, p) = -sum_k y_k log p_k in nats, mean over the batch: the baseline's loss.

    Targets are always soft here, so what other code calls a soft-target cross-entropy, and needs for mixed labels, is
    this one. It is linear in the targets: to mix labels and to mix their losses is the same.
    """

    def term(given: Pass) -> Tensor:
        return cross_entropy(given.logits, given.batch.y)

    return term
