"""Batch norm of the logits."""

from __future__ import annotations

from torch import nn

from ablation.regularizer._head import linears
from ablation.types import Model, Wrap


def logit_bn(momentum: float = 0.1, affine: bool = True) -> Wrap:
    """The logits go through a batch norm before the softmax: BatchNorm1d(K)(head(h)).

    From the lab's notes of 2019 ("BN before CE"); we know of no paper. With `affine` it learns a scale and a shift of
    each class, without they have unit variance over the batch. `momentum` is PyTorch's: the share of the new batch.

    The order in the list counts: with dropout of the "logits", [dropout, logit_bn] normalises what was dropped, and
    [logit_bn, dropout] drops what was normalised; dropout of the "features" comes before the head either way.

    Raises:
        ValueError: momentum is out of range; and when applied, the model's head has no linear layer.
    """
    if not 0 < momentum <= 1:
        raise ValueError(f"momentum: {momentum} is not in (0, 1]")

    def apply(model: Model) -> Model:
        classes = linears(model)[1].out_features
        model.head = nn.Sequential(model.head, nn.BatchNorm1d(classes, momentum=momentum, affine=affine))
        return model

    return Wrap(apply)
