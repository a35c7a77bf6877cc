"""Label smoothing."""

from __future__ import annotations

from torch import Tensor

from ablation.build import near
from ablation.loss.ce import cross_entropy
from ablation.types import Pass, Term

FORMS = ("uniform", "others")


def smooth(targets: Tensor, eps: float, form: str) -> Tensor:
    """Targets (N, K) whose rows sum to one, mixed with the other classes; eps 0 changes no bit."""
    k = targets.shape[1]
    if form == "uniform":
        return (1 - eps) * targets + eps / k
    return (1 - eps) * targets + eps / (k - 1) * (1 - targets)


def label_smoothing(eps: float = 0.1, form: str = "uniform") -> Term:
    """Cross-entropy with targets moved towards the other classes (Szegedy et al. 2015, 1512.00567, section 7).

    Form "uniform", the paper's: y' = (1 - eps) y + eps/K. Form "others", as printed in He et al. 2018 (1812.01187,
    equation 3): 1 - eps for the class and eps/(K-1) for each other; eps' = eps K/(K-1) gives the same targets.

    Differs: also defined for soft targets (after mixup), where "others" is taken for each part of the mixture:
    y' = (1 - eps) y + eps (1 - y)/(K-1).

    Raises:
        ValueError: an argument is out of range.
    """
    if not 0 <= eps < 1:
        raise ValueError(f"eps: {eps} is not in [0, 1)")
    if form not in FORMS:
        raise ValueError(f"form: there is no {form!r}; {near(form, FORMS)}")

    def term(given: Pass) -> Tensor:
        return cross_entropy(given.logits, smooth(given.batch.y, eps, form))

    return term
