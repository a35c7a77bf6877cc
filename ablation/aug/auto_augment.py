"""AutoAugment."""

from __future__ import annotations

import torch
from torch import Tensor

from ablation.aug._policy import amount, in_steps, signs
from ablation.build import near
from ablation.constant import Constant
from ablation.key import Key
from ablation.types import Aug

# The paper's tables of sub-policies, two operations each: name, probability, magnitude from 0 to 9.
POLICIES = {
    "cifar10": """
        invert 0.1 - contrast 0.2 6 | rotate 0.7 2 translate_x 0.3 9 | sharpness 0.8 1 sharpness 0.9 3
        shear_y 0.5 8 translate_y 0.7 9 | auto_contrast 0.5 - equalize 0.9 - | shear_y 0.2 7 posterize 0.3 7
        color 0.4 3 brightness 0.6 7 | sharpness 0.3 9 brightness 0.7 9 | equalize 0.6 - equalize 0.5 -
        contrast 0.6 7 sharpness 0.6 5 | color 0.7 7 translate_x 0.5 8 | equalize 0.3 - auto_contrast 0.4 -
        translate_y 0.4 3 sharpness 0.2 6 | brightness 0.9 6 color 0.2 8 | solarize 0.5 2 invert 0.0 -
        equalize 0.2 - auto_contrast 0.6 - | equalize 0.2 - equalize 0.6 - | color 0.9 9 equalize 0.6 -
        auto_contrast 0.8 - solarize 0.2 8 | brightness 0.1 3 color 0.7 0 | solarize 0.4 5 auto_contrast 0.9 -
        translate_y 0.9 9 translate_y 0.7 9 | auto_contrast 0.9 - solarize 0.8 3 | equalize 0.8 - invert 0.1 -
        translate_y 0.7 9 auto_contrast 0.9 -
    """,
    "imagenet": """
        posterize 0.4 8 rotate 0.6 9 | solarize 0.6 5 auto_contrast 0.6 - | equalize 0.8 - equalize 0.6 -
        posterize 0.6 7 posterize 0.6 6 | equalize 0.4 - solarize 0.2 4 | equalize 0.4 - rotate 0.8 8
        solarize 0.6 3 equalize 0.6 - | posterize 0.8 5 equalize 1.0 - | rotate 0.2 3 solarize 0.6 8
        equalize 0.6 - posterize 0.4 6 | rotate 0.8 8 color 0.4 0 | rotate 0.4 9 equalize 0.6 -
        equalize 0.0 - equalize 0.8 - | invert 0.6 - equalize 1.0 - | color 0.6 4 contrast 1.0 8
        rotate 0.8 8 color 1.0 2 | color 0.8 8 solarize 0.8 7 | sharpness 0.4 7 invert 0.6 -
        shear_x 0.6 5 equalize 1.0 - | color 0.4 0 equalize 0.6 - | equalize 0.4 - solarize 0.2 4
        solarize 0.6 5 auto_contrast 0.6 - | invert 0.6 - equalize 1.0 - | color 0.6 4 contrast 1.0 8
        equalize 0.8 - equalize 0.6 -
    """,
    "svhn": """
        shear_x 0.9 4 invert 0.2 - | shear_y 0.9 8 invert 0.7 - | equalize 0.6 - solarize 0.6 6
        invert 0.9 - equalize 0.6 - | equalize 0.6 - rotate 0.9 3 | shear_x 0.9 4 auto_contrast 0.8 -
        shear_y 0.9 8 invert 0.4 - | shear_y 0.9 5 solarize 0.2 6 | invert 0.9 - auto_contrast 0.8 -
        equalize 0.6 - rotate 0.9 3 | shear_x 0.9 4 solarize 0.3 3 | shear_y 0.8 8 invert 0.7 -
        equalize 0.9 - translate_y 0.6 6 | invert 0.9 - equalize 0.6 - | contrast 0.3 3 rotate 0.8 4
        invert 0.8 - translate_y 0.0 2 | shear_y 0.7 6 solarize 0.4 8 | invert 0.6 - rotate 0.8 4
        shear_y 0.3 7 translate_x 0.9 3 | shear_x 0.1 6 invert 0.6 - | solarize 0.7 2 translate_y 0.6 7
        shear_y 0.8 4 invert 0.8 - | shear_x 0.7 9 translate_y 0.8 3 | shear_y 0.8 5 auto_contrast 0.7 -
        shear_x 0.7 2 invert 0.1 -
    """,
}
STRENGTHS = 10  # magnitudes 0 to 9
Operation = tuple[str, float, int]  # name, probability, magnitude


def auto_augment(policy: str = "cifar10", fill: str = "black") -> Aug:
    """Each image goes through one of 25 learnt pairs of operations (Cubuk et al. 2018, 1805.09501).

    The pair is uniform. Each of its operations is applied with its own probability and strength, and where it has two
    directions (to the left or right, darker or lighter) with a random sign. Policies: "cifar10" (for CIFAR-100 too),
    "imagenet" and "svhn", each found by a search on that data set. Drawn for each image by itself.

    Magnitudes 0 to 9 are slopes up to 0.3, shifts up to 150/331 of the side, angles up to 30 degrees, factors 1 +- 0.9,
    8 to 4 bits (posterize) and thresholds 255 to 0 (solarize). Pixels are the nearest ones; images are rounded to 8-bit
    levels first. On one channel `color` does nothing.

    Fill, of what lies outside: "black" as by torchvision's default, "mean" of the data set (0 when normalised) as in
    the authors' code for CIFAR, "grey" (128).

    Differs: factors are 1 + or - 0.1 a magnitude as in torchvision, where the authors' code goes from 0.1 to 1.9
    without a sign; equal to torchvision's on uint8 tensors, but for blended levels (contrast, color, sharpness) that
    rounding leaves just below a whole number, which differ by one, and sheared pixels whose source is halfway between
    two. PIL's AutoContrast, which the authors' code uses, differs from both by one level for some pixels. The paper's
    cutout comes after: `aug=[auto_augment,cutout]`.

    Raises:
        ValueError: an argument is out of range.
    """
    if policy not in POLICIES:
        raise ValueError(f"policy: there is no {policy!r}; {near(policy, tuple(POLICIES))}")
    places = {"first": operations(policy)[::2], "second": operations(policy)[1::2]}
    pairs = len(places["first"])
    chances = {place: Constant(torch.tensor([p for _, p, _ in of])) for place, of in places.items()}

    def draw(key: Key, n: int) -> list[Tensor]:
        pair = key.fold("pair").integers(pairs, n)
        return [_rows(key.fold(place), pair, chance.on(pair.device)) for place, chance in chances.items()]

    return in_steps([_table(of) for of in places.values()], draw, fill)


def operations(policy: str) -> list[Operation]:
    """The operations of a policy, two for each pair; a magnitude that means nothing is 0."""
    words = iter(POLICIES[policy].replace("|", " ").replace("-", "0").split())
    return [(name, float(next(words)), int(next(words))) for name in words]


def _table(of: list[Operation]) -> list[list[float]]:
    """Rows: each operation with both signs, and last the one for images that it is not applied to."""
    return [r for name, _, level in of for r in signs(name, amount(name, level, STRENGTHS))] + signs("identity", 0.0)


def _rows(key: Key, pair: Tensor, chances: Tensor) -> Tensor:
    n = len(pair)
    applied = key.fold("apply").bernoulli(chances[pair], n)
    return torch.where(applied, 2 * pair + key.fold("sign").bernoulli(0.5, n), 2 * len(chances))
