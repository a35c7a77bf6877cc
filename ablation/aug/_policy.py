"""Policies: sequences of steps in which every image draws one operation of a table, sign and strength included."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ablation.aug._levels import NEUTRAL, blend, look_up, to_images, to_levels, warp
from ablation.build import near
from ablation.constant import Constant
from ablation.key import Key
from ablation.types import Aug, Batch

FILLS = ("black", "mean", "grey")
SIGNED = ("shear_x", "shear_y", "translate_x", "translate_y", "rotate", "brightness", "color", "contrast", "sharpness")
Draw = Callable[[Key, int], list[Tensor]]  # for each step a row of its table for each image, int64 (N,)


def operation(name: str, magnitude: float = 0.0) -> list[float]:
    """The parameters of an operation, in the order of `NEUTRAL`.

    Magnitudes are a slope, a share of the side, pixels, degrees, 1 less than a factor, bits, or a share of 255.
    """
    lift = -magnitude  # 1 - factor
    given: dict[str, dict[str, float]] = {
        "identity": {},
        "shear_x": {"shear_x": magnitude},
        "shear_y": {"shear_y": magnitude},
        "translate_x": {"share_x": magnitude},
        "translate_y": {"share_y": magnitude},
        "pixels_x": {"pixels_x": math.trunc(magnitude)},
        "pixels_y": {"pixels_y": math.trunc(magnitude)},
        "rotate": {"cos": math.cos(math.radians(magnitude)), "sin": math.sin(math.radians(magnitude))},
        "brightness": {"factor": 1 + magnitude},
        "contrast": {"factor": 1 + magnitude, "lift": lift},
        "color": {"colour": 1 + magnitude, "grey": lift},
        "sharpness": {"blur": lift},
        "posterize": {"step": 2.0 ** (8 - magnitude)},
        "solarize": {"threshold": 255 * magnitude},
        "invert": {"threshold": 0.0},
        "auto_contrast": {"stretch": 1.0},
        "equalize": {"equalise": 1.0},
    }
    return list((NEUTRAL | given[name]).values())


def signs(name: str, magnitude: float) -> list[list[float]]:
    """The operation as it is, and with its magnitude the other way round where it has two ways."""
    other = -magnitude if name in (*SIGNED, "pixels_x", "pixels_y") else magnitude
    return [operation(name, magnitude), operation(name, other)]


def amount(name: str, level: int, levels: int) -> float:
    """What level 0, 1, ... levels - 1 means for an operation of AutoAugment and RandAugment."""
    if name == "posterize":
        return float(round(8 - 4 * level / (levels - 1)))
    high = {"shear_x": 0.3, "shear_y": 0.3, "translate_x": 150 / 331, "translate_y": 150 / 331, "rotate": 30.0}
    return between(1.0, 0.0, level, levels) if name == "solarize" else between(0.0, high.get(name, 0.9), level, levels)


def between(first: float, last: float, level: int, levels: int) -> float:
    """One of evenly spaced numbers, rounded as torchvision's: a factor's last bit decides where levels are cut."""
    return float(torch.linspace(first, last, levels)[level])


def in_steps(tables: Sequence[Sequence[Sequence[float]]], draw: Draw, fill: str) -> Aug:
    """An augmentation in steps, each with a table of operations of which every image is given one.

    Raises:
        ValueError: there is no such fill.
    """
    if fill not in FILLS:
        raise ValueError(f"fill: there is no {fill!r}; {near(fill, FILLS)}")
    steps = [Constant(torch.tensor(table, dtype=torch.float32)) for table in tables]

    def apply(batch: Batch, key: Key) -> Batch:
        if not steps:
            return batch
        n, c, height, _ = batch.x.shape
        shade = (batch.mean * 255).round() if fill == "mean" else batch.mean.new_full((c,), 128.0 * (fill == "grey"))
        levels = to_levels(batch.x)
        for table, row in zip(steps, draw(key, n), strict=True):
            chosen = table.on(levels.device).index_select(0, row)
            p = dict(zip(NEUTRAL, chosen.unbind(1), strict=True))
            levels = blend(look_up(warp(levels, p, height, shade), p), p, height)
        return batch._replace(x=to_images(levels, height))

    return apply
