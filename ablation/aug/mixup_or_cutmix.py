"""Mixup or CutMix."""

from __future__ import annotations

import torch

from ablation.aug._draw import check_probability
from ablation.aug._pair import PERS, cutmix_box, gathered
from ablation.build import near
from ablation.key import Key
from ablation.types import Aug, Batch


def mixup_or_cutmix(
    alpha: float = 0.8, beta: float = 1.0, p: float = 1.0, switch: float = 0.5, per: str = "batch"
) -> Aug:
    """With probability p, one of mixup (1710.09412) and CutMix (1905.04899): CutMix with probability `switch`.

    Mixup's lam ~ Beta(alpha, alpha), CutMix's ~ Beta(beta, beta). The defaults are those of DeiT (Touvron et al. 2020,
    2012.12877), which trains with the switch of timm's `Mixup`. Unlike `aug=[mixup,cutmix]`, never both at once.

    Options: decided per batch, or per sample (timm's "elem"). p 0 changes nothing.

    Differs: the partner is a random permutation of the batch, where timm takes the batch reversed; no label smoothing
    of its own (timm smooths with 0.1 unless told not to), which is what `loss=label_smoothing` is for.

    Raises:
        ValueError: an argument is out of range.
    """
    check_probability("p", p)
    check_probability("switch", switch)
    if per not in PERS:
        raise ValueError(f"per: there is no {per!r}; {near(per, PERS)}")
    for name, value in (("alpha", alpha), ("beta", beta)):
        if not 0 < value < float("inf"):
            raise ValueError(f"{name}: {value} is not a finite number above 0; switch 0 is mixup alone, 1 CutMix alone")

    def apply(batch: Batch, key: Key) -> Batch:
        if p == 0:
            return batch
        n, _, h, w = batch.x.shape
        m = n if per == "sample" else 1
        u = key.fold("choice").uniform(m)
        mixes, cuts = (u >= p * switch) & (u < p), u < p * switch
        lam = torch.where(mixes, key.fold("lam").beta(alpha, alpha, m), 1.0)
        box = cutmix_box(key, key.fold("lam").beta(beta, beta, m), h, w).cut(cuts)
        partner = key.fold("partner").permutation(n)
        other = gathered(batch.x, partner)
        # Each is what it is by itself for the same key; what is not chosen changes no bit, as lerp(a, b, 1) is b.
        x = box.filled(torch.lerp(other, batch.x, lam[:, None, None, None]), other)
        y = torch.lerp(batch.y.index_select(0, partner), batch.y, (lam * box.left_over(h, w))[:, None])
        return batch._replace(x=x, y=y)

    return apply
