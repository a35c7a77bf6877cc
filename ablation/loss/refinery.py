"""Label refinery."""

from __future__ import annotations

import math

from torch import Tensor

from ablation.build import near
from ablation.loss.kl import divergence
from ablation.types import Pass, Taught

MIXED, STATISTICS = ("augmented", "clean"), ("running", "batch")


def refinery(temperature: float = 1.0, mixed: str = "augmented", statistics: str = "running") -> Taught:
    """Learn from a trained network's answers in place of the labels (Bagherinezhad et al. 2018, 1805.02641).

    loss = KL(q || p), q = softmax(g/T) of the frozen teacher's logits g for the very crop that the student sees
    ("dynamic" labels), p the student's softmax, mean over the batch; the labels are not used. T = 1 in the paper, below
    1 sharpens. The paper repeats it: each student, trained anew from random weights, teaches the next: `teacher=same`
    with `rounds=4`, say. Each link of such a chain has other first weights, another order of the images and other crops
    than its teacher (`draws=own`); with `draws=seed` all have those of the seed.

    `mixed`: the teacher answers for the "augmented" images, or for the "clean" ones (standard crop and flip alone),
    whose answers are then mixed with the images if an augmentation mixes, as the lab's notes did with mixup. With
    "clean" the training accuracy that is reported is the agreement with those targets.

    `statistics`: the teacher's batch norms use their "running" statistics as in evaluation, or those of the "batch" as
    in the lab's notes, whose teacher was in training mode; its dropout and the like stay off here.

    Raises:
        ValueError: an argument is out of range.
    """
    if not 0 < temperature < math.inf:
        raise ValueError(f"temperature: {temperature} is not a number above 0")
    if mixed not in MIXED:
        raise ValueError(f"mixed: there is no {mixed!r}; {near(mixed, MIXED)}")
    if statistics not in STATISTICS:
        raise ValueError(f"statistics: there is no {statistics!r}; {near(statistics, STATISTICS)}")

    def refined(teacher: Tensor) -> Tensor:
        return (teacher.float() / temperature).softmax(1)

    def dynamic(given: Pass, teacher: Tensor) -> Tensor:
        return divergence(refined(teacher), given.logits)

    def relabelled(given: Pass, teacher: Tensor) -> Tensor:
        return divergence(given.batch.y, given.logits)

    batch = statistics == "batch"
    if mixed == "augmented":
        return Taught(dynamic, batch_statistics=batch)
    return Taught(relabelled, relabel=refined, batch_statistics=batch)
