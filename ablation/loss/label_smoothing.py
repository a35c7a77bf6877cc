"""Label smoothing."""

from __future__ import annotations

import math

from torch import Tensor

from ablation.build import near
from ablation.loss.ce import cross_entropy
from ablation.types import Pass, Term

FORMS = ("uniform", "others", "posneg")


def smooth(targets: Tensor, eps: float, form: str) -> Tensor:
    """Targets (N, K) whose rows sum to one, mixed with the other classes; eps 0 changes no bit."""
    k = targets.shape[1]
    if form == "uniform":
        return (1 - eps) * targets + eps / k
    return (1 - eps) * targets + eps / (k - 1) * (1 - targets)


def label_smoothing(
    eps: float = 0.1, form: str = "uniform", pos: float | None = None, neg: float | None = None
) -> Term:
    """Cross-entropy with targets moved towards the other classes (Szegedy et al. 2015, 1512.00567, section 7).

    Form "uniform", the paper's: y' = (1 - eps) y + eps/K. Form "others", as printed in He et al. 2018 (1812.01187,
    equation 3): 1 - eps for the class and eps/(K-1) for each other; eps' = eps K/(K-1) gives the same targets.

    Form "posneg", the lab's notes' and no paper's: `pos` for the class, `neg` for each other, and eps is not used. They
    need not sum to one, and do not at the notes' 0.9 and 1e-4: with S = pos + (K-1) neg the gradient is S times that of
    the targets divided by S, so there it is a rate of 0.9 and hardly any smoothing.

    Differs: also defined for soft targets (after mixup), where each form is taken for each part of the mixture, as in
    y' = (1 - eps) y + eps (1 - y)/(K-1) and y' = pos y + neg (1 - y).

    Raises:
        ValueError: an argument is out of range.
    """
    if not 0 <= eps < 1:
        raise ValueError(f"eps: {eps} is not in [0, 1)")
    if form not in FORMS:
        raise ValueError(f"form: there is no {form!r}; {near(form, FORMS)}")
    if form == "posneg":
        return _posneg(pos, neg)
    for name, value in (("pos", pos), ("neg", neg)):
        if value is not None:
            raise ValueError(f"{name}: {value} is for form=posneg only; leave it null with form={form}")

    def term(given: Pass) -> Tensor:
        return cross_entropy(given.logits, smooth(given.batch.y, eps, form))

    return term


def _posneg(pos: float | None, neg: float | None) -> Term:
    if pos is None or not 0 < pos < math.inf:
        raise ValueError(f"pos: {pos} is not a number above 0; form=posneg needs one, such as 0.9")
    if neg is None or not 0 <= neg < pos:
        raise ValueError(f"neg: {neg} is not a number from 0 to below pos={pos}; form=posneg needs one, such as 1e-4")

    def term(given: Pass) -> Tensor:
        y = given.batch.y
        return cross_entropy(given.logits, pos * y + neg * (1 - y))

    return term
