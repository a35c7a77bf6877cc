"""A learnable gain on each residual branch."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ablation.types import Noise


class Gain(nn.Module):
    """Join of a shortcut and branches times one learnable number."""

    def __init__(self, start: float) -> None:
        super().__init__()
        self.start = float(start)
        self.gain = nn.Parameter(torch.full((1,), float(start)))

    def forward(self, shortcut: Tensor, *branches: Tensor) -> Tensor:
        """Tensors (N, C, H, W) -> their sum, with the branches together times the gain."""
        branch = sum(branches[1:], branches[0])
        return shortcut + branch * self.gain.to(branch.dtype)


def skip_init(start: float = 0.0) -> Noise:
    """Each block is its shortcut plus a learnable number times its branch (De and Smith 2020, 2002.10444: SkipInit).

    y = x + g F(x), one g a block. With `start` 0 blocks begin as their shortcuts, as with zero gamma, also where a
    branch ends in a convolution, as pre-activation ones do; also ReZero (Bachlechner et al. 2020, 2003.04887). Several
    branches side by side share the gain.

    It stands among the regularizers because it adds parameters to the blocks, which an init cannot.

    With `init=zero_gamma` a start of 0 is refused: each of the two zeros keeps the gradient from the other.

    Differs: those papers leave normalisation out, here it stays. The gains are "weight"s to the optimiser, and decay
    like weights.

    Raises:
        ValueError: start is not finite.
    """
    if not math.isfinite(start):
        raise ValueError(f"start: {start} is not a finite number")
    return Noise(join=lambda block, blocks: Gain(start))
