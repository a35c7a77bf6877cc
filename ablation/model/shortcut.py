"""What carries a block's input past its residual branch where the shape changes (He et al. 2015, section 3.3)."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from ablation.build import near

KERNELS = {"1x1": 1, "3x3": 3, "avg": 1}


class Pad(nn.Module):
    """Option A: every stride-th pixel, and zeros for the new channels. Has no parameters."""

    def __init__(self, more: int, stride: int) -> None:
        super().__init__()
        self.more, self.stride = more, stride

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C + more, ceil(H / stride), ceil(W / stride))."""
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.more))


def shortcut(kind: str, inside: int, out: int, stride: int, norm: Callable[[int], nn.Module] | None) -> nn.Module:
    """The identity where the shape stays, else "pad" (option A), or a "1x1" (option B) or "3x3" convolution.

    "avg" averages 2x2 pixels before a 1x1 convolution, which has no stride then, so that no pixel is left out
    (ResNet-D; He et al. 2018, 1812.01187). A norm, if any, follows the convolution.

    Raises:
        ValueError: there is no such kind.
    """
    if kind not in {"pad", *KERNELS}:
        raise ValueError(f"shortcut: there is no {kind!r}; {near(kind, ['pad', *KERNELS])}")
    if (inside, stride) == (out, 1):
        return nn.Identity()
    if kind == "pad":
        return Pad(out - inside, stride)
    kernel, pooled = KERNELS[kind], kind == "avg" and stride > 1
    conv = nn.Conv2d(inside, out, kernel, 1 if pooled else stride, kernel // 2, bias=False)
    # The last pixel of an odd side is averaged by itself.
    pool = nn.AvgPool2d(2, stride, ceil_mode=True, count_include_pad=False) if pooled else None
    layers = [layer for layer in (pool, conv, norm(out) if norm else None) if layer]
    return nn.Sequential(*layers) if len(layers) > 1 else conv
