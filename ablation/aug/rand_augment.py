"""RandAugment."""

from __future__ import annotations

from torch import Tensor

from ablation.aug._draw import whole
from ablation.aug._policy import amount, in_steps, signs
from ablation.key import Key
from ablation.types import Aug

OPERATIONS = (
    "identity", "shear_x", "shear_y", "translate_x", "translate_y", "rotate", "brightness", "color", "contrast",
    "sharpness", "posterize", "solarize", "auto_contrast", "equalize",
)  # fmt: skip


def rand_augment(num_ops: int = 2, magnitude: int = 9, bins: int = 31, fill: str = "black") -> Aug:
    """Each image goes through operations drawn from 14, all of one strength (Cubuk et al. 2019, 1909.13719).

    `num_ops` draws with replacement, uniform, with a random sign where an operation has two directions. `magnitude` is
    the paper's M on a scale of `bins` steps from 0, on which the last is AutoAugment's strongest: slopes 0.3, shifts
    150/331 of the side, angles 30 degrees, factors 1 +- 0.9, 4 bits, threshold 0. The paper searches N and M anew for
    each data set, model and number of images. Drawn for each image by itself; no operation, no change.

    Levels, pixels, fill and exactness as of `auto_augment`, the operations too but for `identity` in place of `invert`.

    Differs: as torchvision, not as the authors' code, whose factors have no sign.

    Raises:
        ValueError: an argument is out of range.
    """
    num_ops = whole("num_ops", num_ops, 0, "an image goes through so many operations, 0 for none")
    bins = whole("bins", bins, 2, "it is the number of strengths, 31 for 0 to 30")
    magnitude = whole("magnitude", magnitude, 0, f"it is one of {bins} strengths, {bins - 1} the strongest")
    if magnitude >= bins:
        raise ValueError(f"magnitude: {magnitude} is not in 0..{bins - 1}; it is one of `bins` strengths")
    table = [row for name in OPERATIONS for row in signs(name, amount(name, magnitude, bins))]

    def draw(key: Key, n: int) -> list[Tensor]:
        return [key.fold(number).integers(len(table), n) for number in range(num_ops)]

    return in_steps([table] * num_ops, draw, fill)
