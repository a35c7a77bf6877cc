"""TrivialAugment."""

from __future__ import annotations

from torch import Tensor

from ablation.aug._draw import whole
from ablation.aug._policy import between, in_steps, signs
from ablation.aug.rand_augment import OPERATIONS
from ablation.key import Key
from ablation.types import Aug

# The wide space: weakest and strongest; operations that are not named have no strength.
WIDE = {
    "shear_x": (0.0, 0.99), "shear_y": (0.0, 0.99), "pixels_x": (0.0, 32.0), "pixels_y": (0.0, 32.0),
    "rotate": (0.0, 135.0), "brightness": (0.0, 0.99), "color": (0.0, 0.99), "contrast": (0.0, 0.99),
    "sharpness": (0.0, 0.99), "solarize": (1.0, 0.0),
}  # fmt: skip


def trivial_augment(bins: int = 31, fill: str = "black") -> Aug:
    """Each image goes through one operation of random strength; nothing to tune (Mueller & Hutter 2021, 2103.10158).

    Operation, strength (one of `bins`, evenly spaced) and sign are uniform. The space is the paper's wide one: slopes
    up to 0.99, shifts up to 32 pixels whatever the size, angles up to 135 degrees, factors 1 +- 0.99, 8 to 2 bits,
    thresholds 255 to 0, the 14 operations of `rand_augment`. Drawn for each image by itself.

    Levels, pixels, fill and exactness as of `auto_augment`.

    Differs: the paper's brightness, colour, contrast and sharpness factors run from 0.01 to 2, here, as in torchvision,
    1 + or - the strength, which gives the same range but draws 1 twice as often.

    Raises:
        ValueError: an argument is out of range.
    """
    bins = whole("bins", bins, 2, "it is the number of strengths, 31 in the paper")
    names = [name.replace("translate", "pixels") for name in OPERATIONS]
    table = [row for name in names for level in range(bins) for row in signs(name, strength(name, level, bins))]

    def draw(key: Key, n: int) -> list[Tensor]:
        return [key.fold("operation").integers(len(table), n)]

    return in_steps([table], draw, fill)


def strength(name: str, level: int, bins: int) -> float:
    """What level 0, 1, ... bins - 1 means for an operation."""
    if name == "posterize":
        return float(round(8 - 6 * level / (bins - 1)))
    return between(*WIDE.get(name, (0.0, 0.0)), level, bins)
