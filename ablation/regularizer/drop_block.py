"""DropBlock."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from ablation.types import Noise, Noisy


class DropBlock(Noisy):
    """Squares of a feature map are zeroed in training, and the rest scaled up."""

    def __init__(self, p: float, size: int, shared: bool) -> None:
        super().__init__()
        self.p, self.size, self.shared = p, size, shared

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        if not self.training:
            return x
        n, c, h, w = x.shape
        size = min(self.size, h, w)
        rows, columns = h - size + 1, w - size + 1  # of the places where a square fits
        # With channels last, the usual order of x in memory: a mask in another order is slow to apply.
        gamma = self.p * h * w / (size**2 * rows * columns)
        kept = ~squares(self.key.mask(gamma, n, rows, columns, 1 if self.shared else c), size).movedim(-1, 1)
        share = (kept.sum() / kept.numel()).clamp_min(1.0 / kept.numel())
        return x * (kept * (1 / share)).to(x.dtype)


def squares(corners: Tensor, size: int) -> Tensor:
    """Booleans (N, H, W, C), true at corners -> (N, H + size - 1, W + size - 1, C), true in squares that begin there.

    Doubles the squares until they are large enough: on a CPU 40 times as fast as max-pooling with size 7.
    """
    side = 1
    while side < size:
        more = min(side, size - side)
        corners = F.pad(corners, (0, 0, 0, more)) | F.pad(corners, (0, 0, more, 0))
        corners = F.pad(corners, (0, 0, 0, 0, 0, more)) | F.pad(corners, (0, 0, 0, 0, more, 0))
        side += more
    return corners


def drop_block(p: float = 0.1, size: int = 7, shared: bool = False) -> Noise:
    """Squares of size x size are dropped from feature maps while training (Ghiasi et al. 2018, 1810.12890).

    Each place where a square fits begins one with probability gamma = p H W / (size^2 (H - size + 1) (W - size + 1)),
    so that about a share p is dropped, less where squares overlap. What is left is divided by the share of the whole
    tensor that is left. A square larger than the map is cut to it. Each channel has squares of its own, which the paper
    found better, or with `shared` all channels of an image the same.

    Differs: p is the same from the start, where the paper raises it from 0 over the training; and before the last
    convolution of every block, where the paper has it after every convolution and shortcut of the last two stages.

    Raises:
        ValueError: an argument is out of range.
    """
    if not 0 <= p < 1:
        raise ValueError(f"p: {p} is not in [0, 1)")
    if size != int(size) or size < 1:
        raise ValueError(f"size: {size} is not a whole number of elements from 1 up")
    return Noise(drop=lambda: DropBlock(p, int(size), shared))
