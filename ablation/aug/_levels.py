"""Operations on whole batches, each image with its own parameters: levels (N, C, H*W), float32 whole numbers 0..255.

Every function is the identity for an image whose parameters are neutral, so a step of a policy runs all of them, and
no shape depends on what was drawn. Products and sums are kept apart (no `addcmul`): fused ones round differently from
one memory layout to another, which a truncation turns into another level.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ablation.constant import kept, places

# The parameters of an image, with the values that change nothing.
NEUTRAL = {
    "cos": 1.0, "sin": 0.0,  # rotation about the centre
    "shear_x": 0.0, "shear_y": 0.0,  # shift per row and per column, from the upper left corner on
    "share_x": 0.0, "share_y": 0.0,  # translation as a share of the side, cut to whole pixels
    "pixels_x": 0.0, "pixels_y": 0.0,  # translation in whole pixels
    "factor": 1.0, "lift": 0.0,  # level * factor + lift * mean grey
    "step": 1.0,  # levels are cut to multiples of it
    "threshold": 256.0,  # levels from it on are inverted
    "stretch": 0.0,  # 1: each channel's levels are spread over 0..255
    "equalise": 0.0,  # 1: each channel's levels are made equally frequent
    "colour": 1.0, "grey": 0.0,  # colour * pixel + grey * its grey level
    "blur": 0.0,  # pixel + blur * (blurred - pixel)
}  # fmt: skip
Parameters = dict[str, Tensor]  # each (N,) float32


def to_levels(x: Tensor) -> Tensor:
    """Images (N, C, H, W) in [0, 1] -> levels (N, C, H*W), contiguous: channels-last would take ten times as long."""
    return (x * 255).round().flatten(2).contiguous()


def to_images(levels: Tensor, height: int) -> Tensor:
    """Levels (N, C, H*W) -> images (N, C, H, W) in [0, 1], channels-last, with the very bits of bytes / 255."""
    n, c, _ = levels.shape
    return (levels / 255).reshape(n, c, height, -1).permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)


def luma(x: Tensor) -> Tensor:
    """Grey levels (N, H*W), whole numbers; of images without three channels their mean.

    The weights times 10000 keep the sum a whole number, so that `floor` is exact in any order of summation.
    """
    if x.shape[1] != 3:
        return x.mean(1)
    red, green, blue = x.unbind(1)
    return ((red * 2989 + green * 5870 + blue * 1140) * 1e-4).floor()


def warp(levels: Tensor, p: Parameters, height: int, fill: Tensor) -> Tensor:
    """Rotation, shear and translation with the nearest pixel; what comes from outside has the levels `fill` (C,)."""
    n, c, area = levels.shape
    width = area // height
    column, row = _centred(width, levels.device), _centred(height, levels.device)[:, None]
    one = {name: value[:, None, None] for name, value in p.items()}
    from_x = one["shear_x"] * (row + height / 2) - one["sin"] * row
    from_x = from_x - (one["share_x"] * width).trunc() - one["pixels_x"] + (width - 1) / 2
    from_y = one["shear_y"] * (column + width / 2) + one["sin"] * column
    from_y = from_y - (one["share_y"] * height).trunc() - one["pixels_y"] + (height - 1) / 2
    x, y = (one["cos"] * column + from_x).round(), (one["cos"] * row + from_y).round()
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    source = torch.where(inside, y * width + x, area).to(torch.int64).reshape(n, 1, area).expand(n, c, area)
    outside = fill[:, None].expand(n, c, 1)
    return torch.cat([levels, outside], 2).gather(2, source)


@kept
def _centred(length: int, device: torch.device) -> Tensor:
    """Positions from the centre on, (length,) float32."""
    return places(length, device) - (length - 1) / 2


@kept
def _all_levels(device: torch.device) -> Tensor:
    return torch.arange(256, device=device, dtype=torch.float32)


def look_up(levels: Tensor, p: Parameters) -> Tensor:
    """Whatever maps levels to levels, as one table of 256 for each channel."""
    n, c, area = levels.shape
    level = _all_levels(levels.device)
    one = {name: value[:, None] for name, value in p.items()}
    plain = level * one["factor"] + one["lift"] * luma(levels).mean(1, keepdim=True)
    plain = (plain.clamp(0, 255).floor() / one["step"]).floor() * one["step"]
    plain = torch.where(plain >= one["threshold"], 255 - plain, plain)[:, None]
    index = levels.to(torch.int64)
    count = levels.new_zeros(n, c, 256).scatter_add(2, index, torch.ones_like(levels))
    table = torch.where(p["stretch"][:, None, None] > 0, _stretched(count, level, area), plain)
    table = torch.where(p["equalise"][:, None, None] > 0, _equalised(count, level, area), table)
    return table.gather(2, index)


def _stretched(count: Tensor, level: Tensor, area: int) -> Tensor:
    """The table that maps a channel's darkest level to 0 and its lightest to 255; a channel of one level is kept."""
    up_to = count.cumsum(2)
    low = (up_to == 0).sum(2, keepdim=True).to(level.dtype)
    high = (up_to < area).sum(2, keepdim=True).to(level.dtype)
    scale = torch.where(high > low, (high - low) * (1 / 255), 1.0)
    return ((level - torch.where(high > low, low, 0.0)) / scale).clamp(0, 255).floor()


def _equalised(count: Tensor, level: Tensor, area: int) -> Tensor:
    """PIL's table: each level goes to the number of darker pixels, in steps of 1/255 of those below the lightest."""
    up_to = count.cumsum(2)
    lightest = (up_to < area).sum(2, keepdim=True)
    step = ((area - count.gather(2, lightest)) / 255).floor()
    table = ((up_to - count + (step / 2).floor()) / step.clamp_min(1)).floor().clamp_max(255)
    return torch.where(step > 0, table, level)


def blend(levels: Tensor, p: Parameters, height: int) -> Tensor:
    """Mixing with grey (images of three channels only) and with the blurred image, which also sharpens."""
    one = {name: value[:, None, None] for name, value in p.items()}
    mixed = levels
    if levels.shape[1] == 3:
        mixed = levels * one["colour"] + luma(levels)[:, None] * one["grey"]
    n, c, _ = levels.shape
    mixed = mixed + _blurred_less(levels.reshape(n, c, height, -1)).flatten(2) * one["blur"]
    return mixed.clamp(0, 255).floor()


def _blurred_less(x: Tensor) -> Tensor:
    """Blurred minus itself; 0 on the border, as PIL's filter leaves it. The kernel is 1 around 5, over 13."""
    if min(x.shape[-2:]) < 3:
        return torch.zeros_like(x)
    total = x[..., :-2, :] + x[..., 1:-1, :] + x[..., 2:, :]
    total = total[..., :-2] + total[..., 1:-1] + total[..., 2:]
    middle = x[..., 1:-1, 1:-1]
    return torch.nn.functional.pad(((total + 4 * middle) / 13).round() - middle, (1, 1, 1, 1))
