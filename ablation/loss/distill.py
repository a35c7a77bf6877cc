"""Knowledge distillation."""

from __future__ import annotations

import math

from torch import Tensor

from ablation.loss.ce import cross_entropy
from ablation.types import Pass, Taught


def divergence(teacher: Tensor, student: Tensor, temperature: float) -> Tensor:
    """KL(p || q) in nats, mean over the batch, of the softmaxes p and q of both logits (N, K) over the temperature."""
    log_p = (teacher.float() / temperature).log_softmax(1)
    log_q = (student.float() / temperature).log_softmax(1)
    return (log_p.exp() * (log_p - log_q)).sum(1).mean()


def distill(temperature: float = 4.0, alpha: float = 0.9) -> Taught:
    """Learn from a teacher's softened answers beside the labels (Hinton, Vinyals and Dean 2015, 1503.02531).

    loss = alpha T^2 KL(p_T || q_T) + (1 - alpha) H(y, q), with p and q of the teacher and the student on the same
    augmented images, and T^2 so that the gradient's size does not depend on T (section 2 there). The paper found
    a "considerably lower weight" on the labels best, without a number: T = 4 and alpha = 0.9 are Tian et al.'s (2019,
    1910.10699, appendix).

    Differs: KL for the cross-entropy with p_T: less the teacher's entropy, a constant. He et al. (2018, 1812.01187,
    section 5.3) add both parts with weight 1: alpha = 0.5 with twice the learning rate.

    Raises:
        ValueError: an argument is out of range.
    """
    if not 0 < temperature < math.inf:
        raise ValueError(f"temperature: {temperature} is not a number above 0")
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha: {alpha} is not in [0, 1]; it is the teacher's share, the labels have the rest")

    def term(given: Pass, teacher: Tensor) -> Tensor:
        soft = temperature**2 * divergence(teacher, given.logits, temperature)
        return alpha * soft + (1 - alpha) * cross_entropy(given.logits, given.batch.y)

    return Taught(term)
