"""Dual cutout."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from ablation.aug.cutout import cutout
from ablation.key import Key
from ablation.types import Aug, Batch, Model, Noisy, Pass, Penalty, Term


def dual_cutout(size: int = 16, holes: int = 1, alpha: float = 0.1) -> tuple[Aug, Penalty]:
    """Two cutouts of each image, whose answers are to agree (Kawaguchi et al. 2018, 1802.07426).

    L = (CE(f(a), y) + CE(f(b), y)) / 2 + alpha mean (f(a) - f(b))^2, with a and b the same crop of an image under two
    cutouts of their own (`aug=cutout`), f the logits and the mean over images and classes; size 16 and alpha 0.1 are
    the authors' for CIFAR. Twice the cost of a step. Goes after augmentations that mix images: these would mix a and b
    with different partners.

    Differs: a and b go through the model in one pass, in which batch norms see both.

    Raises:
        ValueError: an argument is out of range; in training, the rows of the batch are no longer two of each image.
    """
    if not 0 <= alpha < math.inf:
        raise ValueError(f"alpha: {alpha} is not a finite number from 0 up")
    cut = cutout(size, holes)

    def aug(batch: Batch, key: Key) -> Batch:
        x = [cut(batch, key.fold(copy)).x for copy in range(2)]
        return batch._replace(x=torch.cat(x), y=batch.y.repeat(2, 1))

    def term(given: Pass) -> Tensor:
        n, k = given.clean.y.shape
        if len(given.logits) % (2 * n):
            raise ValueError(f"dual_cutout: {len(given.logits)} rows are not two of each of {n} images; list it last")
        # Whatever copies the batch afterwards (rotation) keeps the two of an image at this distance.
        a, b = given.logits.float().reshape(-1, 2, n, k).unbind(1)
        return alpha * F.mse_loss(a, b)

    def attach(model: Model) -> Term:
        if any(isinstance(m, Noisy) and m.site for m in model.modules()):
            raise ValueError(
                "alpha: something mixes images inside the model, a and b with different partners; choose one"
            )
        return term

    return aug, Penalty(attach)
