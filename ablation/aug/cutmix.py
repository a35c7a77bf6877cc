"""CutMix."""

from __future__ import annotations

import torch

from ablation.aug._draw import check_probability
from ablation.aug._pair import PERS, cutmix_box, gathered
from ablation.build import near
from ablation.key import Key
from ablation.types import Aug, Batch


def cutmix(beta: float = 1.0, p: float = 0.5, per: str = "batch") -> Aug:
    """Paste a rectangle of another image over each image, and mix the targets by area (Yun et al. 2019, 1905.04899).

    lam ~ Beta(beta, beta); the rectangle has the image's aspect and a share 1 - lam of its area, its centre is a
    uniform pixel, and what hangs over the edge is cut off. lam is then the share of pixels that is really left, and
    y' = lam y + (1 - lam) y[partner], partner a random permutation of the batch. The paper cuts with probability 0.5
    on CIFAR and always on ImageNet (p 1), which is also what code does that ignores its probability.

    Options: one lam, rectangle and decision per batch, as in the authors' code, or per sample. beta 0 changes nothing:
    the limit, in which half of the batches are replaced whole, is left out.

    Raises:
        ValueError: an argument is out of range.
    """
    if not 0 <= beta < float("inf"):
        raise ValueError(f"beta: {beta} is not a finite number from 0 up")
    check_probability("p", p)
    if per not in PERS:
        raise ValueError(f"per: there is no {per!r}; {near(per, PERS)}")

    def apply(batch: Batch, key: Key) -> Batch:
        if beta == 0 or p == 0:
            return batch
        n, _, h, w = batch.x.shape
        m = n if per == "sample" else 1
        lam, applied = key.fold("lam").beta(beta, beta, m), key.fold("apply").bernoulli(p, m)
        box = cutmix_box(key, lam, h, w).cut(applied)
        partner = key.fold("partner").permutation(n)
        # lerp(a, b, 1) is b, bit for bit.
        y = torch.lerp(batch.y.index_select(0, partner), batch.y, box.left_over(h, w)[:, None])
        return batch._replace(x=box.filled(batch.x, gathered(batch.x, partner)), y=y)

    return apply
