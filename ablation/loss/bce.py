"""Binary cross-entropy, one class against the rest."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from ablation.build import near
from ablation.loss.label_smoothing import smooth
from ablation.types import Pass, Term

CLASSES = ("mean", "sum")


def bce(eps: float = 0.0, threshold: float | None = None, classes: str = "mean") -> Term:
    """A sigmoid for each class, "is it there?", in place of one softmax (Wightman et al. 2021, 2110.00476).

    loss = -sum_k (y_k log s_k + (1 - y_k) log(1 - s_k)), s = sigmoid(logits), mean over the batch, targets soft. With
    `threshold` every class whose target is above it counts as wholly there, so that both images of a mixture do; 0.2 in
    the authors' recipes. `eps` smooths the targets first, by eps/K.

    `classes`: the "mean" over the K classes too, as the authors' library has it, whose gradient is K times smaller than
    that of their "sum". Rates found for one do not suit the other, nor cross-entropy.

    Raises:
        ValueError: an argument is out of range.
    """
    if not 0 <= eps < 1:
        raise ValueError(f"eps: {eps} is not in [0, 1)")
    if threshold is not None and not 0 <= threshold < 1:
        raise ValueError(f"threshold: {threshold} is not in [0, 1); null leaves the targets soft")
    if classes not in CLASSES:
        raise ValueError(f"classes: there is no {classes!r}; {near(classes, CLASSES)}")

    def term(given: Pass) -> Tensor:
        y = smooth(given.batch.y, eps, "uniform")
        if threshold is not None:
            y = (y > threshold).float()
        each = binary_cross_entropy_with_logits(given.logits.float(), y, reduction="none")
        return each.mean() if classes == "mean" else each.sum(1).mean()

    return term
