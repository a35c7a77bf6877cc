"""Stochastic depth."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ablation.build import near
from ablation.types import Noise, Noisy

SCALES, PERS = ("test", "train"), ("batch", "sample")


class StochasticDepth(Noisy):
    """Join that keeps the branches with probability `survival` in training."""

    def __init__(self, survival: float, scale: str, per: str) -> None:
        super().__init__()
        self.survival, self.per = survival, per
        self.train_gain, self.eval_gain = (1.0, survival) if scale == "test" else (1.0 / survival, 1.0)

    def forward(self, shortcut: Tensor, *branches: Tensor) -> Tensor:
        """Tensors (N, C, H, W) -> their sum, where the branches are all there or all zero."""
        branch = sum(branches[1:], branches[0])
        if not self.training:
            return shortcut + branch * self.eval_gain
        kept = self.key.bernoulli(self.survival, len(branch) if self.per == "sample" else 1, 1, 1, 1)
        return shortcut + torch.where(kept, branch * self.train_gain, 0.0)


def stochastic_depth(last_survival: float = 0.5, scale: str = "test", per: str = "batch") -> Noise:
    """Residual branches are dropped at random while training (Huang et al. 2016, 1603.09382).

    Block l of L survives with p_l = 1 - (1 - last_survival) l/L: the paper's linear decay, 1 - l/(2L) by default.
    `scale` "test" multiplies the branch by p_l in evaluation, as the paper does; "train" divides it by p_l in training,
    as timm does. `per` says whether a whole "batch" is dropped at once (paper) or each "sample" by itself (timm).

    Differs: a dropped branch is computed all the same, so it costs its time and its running statistics see every batch.

    Raises:
        ValueError: an argument is out of range.
    """
    if not 0 < last_survival <= 1:
        raise ValueError(f"last_survival: {last_survival} is not in (0, 1]; it is a probability to keep, not to drop")
    if scale not in SCALES:
        raise ValueError(f"scale: there is no {scale!r}; {near(scale, SCALES)}")
    if per not in PERS:
        raise ValueError(f"per: there is no {per!r}; {near(per, PERS)}")

    def join(block: int, blocks: int) -> nn.Module:
        return StochasticDepth(1.0 - (1.0 - last_survival) * block / blocks, scale, per)

    return Noise(join=join)
