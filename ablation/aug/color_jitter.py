"""Colour jitter."""

from __future__ import annotations

import torch
from torch import Tensor

from ablation.constant import Constant
from ablation.key import Key
from ablation.types import Aug, Batch

BRIGHTNESS, CONTRAST, SATURATION, HUE = range(4)


def color_jitter(brightness: float = 0.4, contrast: float = 0.4, saturation: float = 0.4, hue: float = 0.0) -> Aug:
    """Scale brightness, contrast and saturation by random factors (Howard 2013, 1312.5402), in random order.

    Each factor is uniform in [1 - a, 1 + a] (not below 0): brightness scales the image, contrast its difference to the
    image's mean grey, saturation its difference to each pixel's grey. Hue is turned by U[-hue, hue] of a full circle;
    0.5 is the opposite colour. Factors and order are drawn for each image by itself. 0.4 each without hue is the "0.6
    to 1.4" of Bag of Tricks (He et al. 2018, 1812.01187). All 0 changes nothing. On one channel saturation and hue do
    nothing.

    Differs: as torchvision on float images, so levels are clamped after each change but not rounded to bytes, as PIL
    does.

    Raises:
        ValueError: an argument is out of range.
    """
    strengths = {"brightness": brightness, "contrast": contrast, "saturation": saturation}
    for name, value in strengths.items():
        if not 0 <= value < float("inf"):
            raise ValueError(f"{name}: {value} is not a finite number from 0 up; 0 leaves it as it is")
    if not 0 <= hue <= 0.5:
        raise ValueError(f"hue: {hue} is not in [0, 0.5]; 0 leaves it as it is, 0.5 is any hue")
    used = [i for i, value in enumerate((*strengths.values(), hue)) if value > 0]
    changes = Constant(torch.tensor(used))

    def apply(batch: Batch, key: Key) -> Batch:
        if not used:
            return batch
        n, c, height, width = batch.x.shape
        drawn = [_uniform(key.fold(name), max(0.0, 1 - a), 1 + a, n) for name, a in strengths.items()]
        amounts = torch.stack([*drawn, _uniform(key.fold("hue"), -hue, hue, n)])
        order = key.fold("order").bits(n, len(used)).argsort(1)
        kinds = changes.on(batch.x.device)[order]
        # Channels-last pixels would be mixed with their grey level by loops of three.
        x = batch.x.flatten(2).contiguous()
        for kind in kinds.unbind(1):
            x = _changed(x, kind, amounts.gather(0, kind[None]).squeeze(0), turn=hue > 0)
        x = x.reshape(n, c, height, width).permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
        return batch._replace(x=x)

    return apply


def _uniform(key: Key, low: float, high: float, n: int) -> Tensor:
    return low + (high - low) * key.uniform(n)


def _changed(x: Tensor, kind: Tensor, amount: Tensor, turn: bool) -> Tensor:
    """One change of each image (N, C, H*W): kind and amount (N,); with `turn`, hue may be among the kinds."""
    colour = x.shape[1] == 3
    keep = (kind == HUE) | ((kind == SATURATION) & (not colour))
    factor = torch.where(keep, 1.0, amount)[:, None]
    grey = 0.2989 * x[:, 0] + 0.587 * x[:, 1] + 0.114 * x[:, 2] if colour else x.mean(1)
    mean = grey.mean(1, keepdim=True) * (kind == CONTRAST)[:, None]
    toward = (grey * (kind == SATURATION)[:, None] + mean) * (1 - factor)
    # In place: new memory costs more than the arithmetic. (`clamp_` has no rule for lanes.)
    mixed = (x * factor[:, None]).add_(toward[:, None]).clamp(0, 1)
    if not (turn and colour):
        return mixed
    return torch.lerp(mixed, _turned(x, amount[:, None]), (kind == HUE).to(x.dtype)[:, None, None])  # 0 or 1: exact


def _turned(x: Tensor, by: Tensor) -> Tensor:
    """Another hue of the same saturation and value: x (N, 3, H*W), by (N, 1) in turns."""
    red, green, blue = x.unbind(1)
    value = x.amax(1)
    chroma = value - x.amin(1)
    unit = chroma + (chroma == 0)
    # `where` takes ten times as long: a processor cannot guess which channel is the largest.
    first = (value == red).to(x.dtype)
    second = (value == green) * (1 - first)
    sixth = first * ((green - blue) / unit) + second * (2 + (blue - red) / unit)
    sixth = sixth + (1 - first - second) * (4 + (red - green) / unit) + 6 * by
    # A channel is at the value for two sixths of the circle, chroma below it for two, and goes linearly in between.
    place = torch.stack([sixth + start for start in (5, 3, 1)], 1)
    place = place - (place * (1 / 6)).floor() * 6  # `remainder` takes four times as long
    return value[:, None] - chroma[:, None] * torch.minimum(place, 4 - place).clamp(0, 1)
