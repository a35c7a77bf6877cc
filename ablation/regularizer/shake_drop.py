"""ShakeDrop."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ablation.build import near
from ablation.regularizer._disturb import LEVELS, extent, scaled
from ablation.types import Noise, Noisy


class ShakeDrop(Noisy):
    """Join that disturbs the branches with probability 1 - survival in training."""

    def __init__(self, survival: float, alpha: Sequence[float], beta: Sequence[float], gate: str, level: str) -> None:
        super().__init__()
        self.survival, self.ranges, self.gate, self.level = survival, (alpha, beta), gate, level
        self.mean = survival + (1 - survival) * sum(alpha) / 2

    def forward(self, shortcut: Tensor, *branches: Tensor) -> Tensor:
        """Tensors (N, C, H, W) -> their sum, with the branches together times a factor."""
        branch = sum(branches[1:], branches[0])
        if not self.training:
            return shortcut + branch * self.mean
        kept = self.key.fold("gate").bernoulli(self.survival, *extent(self.gate, branch))
        forward, backward = (
            torch.where(kept, 1.0, low + (high - low) * self.key.fold(way).uniform(*extent(self.level, branch)))
            for way, (low, high) in zip(("forward", "backward"), self.ranges, strict=True)
        )
        return shortcut + scaled(branch, forward, backward)


def shake_drop(
    last_survival: float = 0.5,
    alpha: Sequence[float] = (-1.0, 1.0),
    beta: Sequence[float] = (0.0, 1.0),
    gate: str = "batch",
    level: str = "image",
) -> Noise:
    """Residual branches are shaken instead of dropped (Yamada et al. 2018, 1802.02375).

    y = x + (b + a - b a) F(x) in training, with c in place of a for the gradient; a is uniform in `alpha` and c in
    `beta`. b of block l of L is 1 with probability p_l = 1 - (1 - last_survival) l/L, 1 - l/(2L) by default, else 0.
    In evaluation y = x + E[b + a - b a] F(x), which is p_l where a has mean 0. alpha [-1, 1] with beta [0, 1] is the
    paper's for PyramidNet; [0, 0] with [0, 1] is the other pair that it found good.

    `gate`: one b for the "batch" (in each block), or for each "image", "channel" of an image, or "pixel" of a channel;
    `level`: likewise for a and c. a and c of each image is what widespread code draws; "pixel" is the paper's wording.
    Several branches side by side are shaken as one.

    Differs: the paper puts a batch norm at the end of the branch in ResNets; here the branch is the model's own.

    Raises:
        ValueError: an argument is out of range.
    """
    if not 0 < last_survival <= 1:
        raise ValueError(f"last_survival: {last_survival} is not in (0, 1]; it is a probability to keep, not to drop")
    for name, ends in (("alpha", alpha), ("beta", beta)):
        if len(ends) != 2 or not -math.inf < ends[0] <= ends[1] < math.inf:
            raise ValueError(f"{name}: {ends} is not [low, high] with low <= high")
    for name, value in (("gate", gate), ("level", level)):
        if value not in LEVELS:
            raise ValueError(f"{name}: there is no {value!r}; {near(value, LEVELS)}")

    def join(block: int, blocks: int) -> nn.Module:
        return ShakeDrop(1.0 - (1.0 - last_survival) * block / blocks, alpha, beta, gate, level)

    return Noise(join=join)
