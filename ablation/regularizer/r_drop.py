"""R-Drop."""

from __future__ import annotations

import math

import torch.nn.modules.dropout as library
from torch import Tensor

from ablation.build import near
from ablation.loss.ce import cross_entropy
from ablation.types import Model, Noisy, Pass, Penalty, Term

LABELS = ("both", "first")


def r_drop(alpha: float = 1.0, labels: str = "both") -> Penalty:
    """Two passes that drop other units have to agree (Liang et al. 2021, 2106.14448). Costs two passes a step.

    loss = ... + H(y, p2) + alpha (KL(p1 || p2) + KL(p2 || p1))/2, p1 the softmax of the ordinary pass, p2 of another of
    the same images with noise of its own, mean over the batch; gradients go through both. With loss=ce, "..." is
    H(y, p1), and this is the paper's sum. alpha 1 to 5 for text there, 0.6 for images.

    `labels`: "both" passes learn the labels, as in the paper: the gradient is about twice as large, so a like baseline
    has twice the optim.lr and half the decay. "first": without H(y, p2), which keeps the size; also the one to take
    with a loss that has other targets than the labels, such as refinery, or smooths them: H(y, p2) does not. Batch
    norms' running statistics follow both passes.

    Needs noise in the model: dropout, stochastic depth, ...

    Raises:
        ValueError: an argument is out of range; or, when attached, the model draws no noise.
    """
    if not 0 <= alpha < math.inf:
        raise ValueError(f"alpha: {alpha} is not a finite number from 0 up")
    if labels not in LABELS:
        raise ValueError(f"labels: there is no {labels!r}; {near(labels, LABELS)}")

    def term(given: Pass) -> Tensor:
        _, second = given.again(given.images, given.key)
        one, other = (z.float().log_softmax(1) for z in (given.logits, second))
        both = ((one.exp() - other.exp()) * (one - other)).sum(1).mean()  # of the two divergences, the sum
        learnt = cross_entropy(second, given.batch.y) if labels == "both" else 0.0
        return learnt + alpha / 2 * both

    def attach(model: Model) -> Term:
        drawing = [m for m in model.modules() if isinstance(m, Noisy | library._DropoutNd)]
        if all(isinstance(m, Noisy) and m.site for m in drawing):  # what draws at a site draws the same in both passes
            raise ValueError(
                "alpha: no two passes of this model differ; add noise, such as regularizer=[dropout,r_drop]"
            )
        return term

    return Penalty(attach)
