"""Shake-Shake."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ablation.build import near
from ablation.regularizer._disturb import extent, scaled
from ablation.types import Noise, Noisy

FORWARD, BACKWARD, LEVELS = ("shake", "even"), ("shake", "even", "keep"), ("image", "batch")


class ShakeShake(Noisy):
    """Join of a shortcut and two branches, which are mixed at random in training."""

    branches = 2

    def __init__(self, forward: str, backward: str, level: str) -> None:
        super().__init__()
        self.modes, self.level = (forward, backward), level

    def forward(self, shortcut: Tensor, first: Tensor, second: Tensor) -> Tensor:
        """Tensors (N, C, H, W) -> their sum, with a share of each branch."""
        half = 0.5 * (first + second)
        if not self.training or self.modes in (("even", "even"), ("even", "keep")):
            return shortcut + half
        # The mean and a share of half the difference: 2 a - 1 in -1..1 is exact, unlike 1 - a of a rounded a.
        return shortcut + half + scaled(0.5 * (first - second), *self._shares(first))

    def _shares(self, x: Tensor) -> tuple[Tensor, Tensor]:
        shape = extent(self.level, x)
        forward, backward = (
            2 * self.key.fold(way).uniform(*shape) - 1 if mode == "shake" else torch.zeros(shape, device=x.device)
            for way, mode in zip(("forward", "backward"), self.modes, strict=True)
        )
        return forward, forward if self.modes[1] == "keep" else backward


def shake_shake(forward: str = "shake", backward: str = "shake", level: str = "image") -> Noise:
    """Two residual branches are mixed by other random shares forward than backward (Gastaldi 2017, 1705.07485).

    y = x + a F1(x) + (1 - a) F2(x) in training, with a uniform in [0, 1], and c in place of a for the gradient;
    y = x + (F1(x) + F2(x))/2 in evaluation. Needs a model with two branches: `model=shake_resnet`, which is the paper's
    and has this without being told, or `model.branches=2`.

    `forward`: a is drawn ("shake") or 1/2 ("even"). `backward`: c is drawn anew ("shake"), 1/2 ("even"), or a itself
    ("keep"). `level`: one draw an "image" or a "batch", for each block. By default the paper's best, S-S-I.

    Differs: with `model.branches=2` the branches are the model's own, where the paper's begin with a ReLU and its
    shortcut reads two shifted grids where the shape changes.

    Raises:
        ValueError: there is no such mode or level; and from the model, that it has not two branches.
    """
    for name, value, valid in (
        ("forward", forward, FORWARD),
        ("backward", backward, BACKWARD),
        ("level", level, LEVELS),
    ):
        if value not in valid:
            raise ValueError(f"{name}: there is no {value!r}; {near(value, valid)}")

    def join(block: int, blocks: int) -> nn.Module:
        return ShakeShake(forward, backward, level)

    return Noise(join=join)
