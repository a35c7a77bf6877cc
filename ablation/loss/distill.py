"""Knowledge distillation."""

from __future__ import annotations

import math

from torch import Tensor

from ablation.build import near
from ablation.loss.ce import cross_entropy
from ablation.loss.label_smoothing import smooth
from ablation.types import Pass, Taught

FORMS = ("uniform", "others")


def divergence(teacher: Tensor, student: Tensor, temperature: float) -> Tensor:
    """KL(p || q) in nats, mean over the batch, of the softmaxes p and q of both logits (N, K) over the temperature."""
    log_p = (teacher.float() / temperature).log_softmax(1)
    log_q = (student.float() / temperature).log_softmax(1)
    return (log_p.exp() * (log_p - log_q)).sum(1).mean()


def distill(
    temperature: float = 4.0,
    alpha: float = 0.9,
    beta: float | None = None,
    eps: float | None = None,
    form: str | None = None,
) -> Taught:
    """Learn from a teacher's softened answers beside the labels (Hinton, Vinyals and Dean 2015, 1503.02531).

    loss = alpha T^2 KL(p_T || q_T) + beta H(y, q), with p and q of the teacher and the student on the same augmented
    images, and T^2 so that the gradient's size does not depend on T (section 2 there). beta null is 1 - alpha. The
    paper found a "considerably lower weight" on the labels best, without a number: T = 4 and alpha = 0.9 are Tian et
    al.'s (2019, 1910.10699, appendix). The plain sum of He et al. (2018, 1812.01187, section 5.3) is alpha = beta = 1
    with T = 20.

    The student's first weights, order of the images and crops are not its teacher's, nor those of the arms of its seed
    that have no teacher (`draws=own`); with `draws=seed` they are.

    `eps` smooths the labels y, by `form` as in `label_smoothing` (null: "uniform"); the teacher's answers stay.

    Differs: KL for the cross-entropy with p_T: less the teacher's entropy, a constant.

    Raises:
        ValueError: an argument is out of range.
    """
    if not 0 < temperature < math.inf:
        raise ValueError(f"temperature: {temperature} is not a number above 0")
    if beta is None:
        if not 0 <= alpha <= 1:
            raise ValueError(f"alpha: {alpha} is not in [0, 1]; it is the teacher's share, unless beta is the labels'")
        beta = 1 - alpha
    for name, weight in (("alpha", alpha), ("beta", beta)):
        if not 0 <= weight < math.inf:
            raise ValueError(f"{name}: {weight} is not a finite number from 0 up")
    smoothing = _smoothing(eps, form)

    def term(given: Pass, teacher: Tensor) -> Tensor:
        soft = temperature**2 * divergence(teacher, given.logits, temperature)
        y = smooth(given.batch.y, *smoothing) if smoothing else given.batch.y
        return alpha * soft + beta * cross_entropy(given.logits, y)

    return Taught(term)


def _smoothing(eps: float | None, form: str | None) -> tuple[float, str] | None:
    if eps is None:
        if form is not None:
            raise ValueError(f"form: {form} smooths nothing without an eps; give loss.eps=0.1, say, or form=null")
        return None
    if not 0 <= eps < 1:
        raise ValueError(f"eps: {eps} is not in [0, 1)")
    if form not in (None, *FORMS):
        raise ValueError(f"form: there is no {form!r}; {near(str(form), FORMS)}")
    return eps, form or "uniform"
