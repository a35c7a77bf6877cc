"""The operations of the policies, against torchvision's on uint8 images."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms import v2

from ablation.aug._levels import NEUTRAL, blend, look_up, to_images, to_levels, warp
from ablation.aug._policy import amount, in_steps, operation, signs
from ablation.key import Key
from ablation.types import Batch
from tests.aug.outcomes import changed

THEIRS = {
    "shear_x": "ShearX", "shear_y": "ShearY", "translate_x": "TranslateX", "translate_y": "TranslateY",
    "rotate": "Rotate", "brightness": "Brightness", "color": "Color", "contrast": "Contrast", "sharpness": "Sharpness",
    "posterize": "Posterize", "solarize": "Solarize", "auto_contrast": "AutoContrast", "equalize": "Equalize",
    "invert": "Invert",
}  # fmt: skip
BLENDED = ("color", "contrast", "sharpness")  # rounding decides on which side of a whole number a blend lies
# Slopes of 1/15, 1/5 and 1/5 move some rows by half a pixel: rounding decides, and it has no reason to agree.
HALFWAY = {(name, *at) for name in ("shear_x", "shear_y") for at in ((10, 2), (10, 6), (31, 20))}


def images(c: int, h: int, w: int) -> Tensor:
    """Smooth, noisy and plain ones, uint8."""
    g = torch.Generator().manual_seed(0)
    smooth = F.interpolate(torch.rand(2, c, 4, 4, generator=g), (h, w), mode="bilinear")
    noise = torch.rand(2, c, h, w, generator=g)
    return torch.cat([smooth, noise, 0.3 + 0.1 * noise[:1], noise[:1] * 0 + 0.3]).mul(255).round().to(torch.uint8)


def ours(x: Tensor, row: list[float]) -> Tensor:
    """An operation on uint8 images."""
    n, c, h, _ = x.shape
    p = dict(zip(NEUTRAL, torch.tensor([row] * n).unbind(1), strict=True))
    levels = blend(look_up(warp(to_levels(x / 255), p, h, torch.zeros(c)), p), p, h)
    return levels.reshape(x.shape)


@pytest.mark.parametrize("size", [(3, 32, 32), (1, 32, 32), (3, 17, 24), (3, 2, 3)], ids=str)
@pytest.mark.parametrize("name", THEIRS)
def test_is_torchvisions(name: str, size: tuple[int, int, int]) -> None:
    x, wrong, seen = images(*size), 0, 0
    of, signed = v2.AutoAugment()._AUGMENTATION_SPACE[THEIRS[name]]
    for bins, level in [(10, i) for i in range(10)] + [(31, i) for i in range(0, 31, 5)]:
        if (name, bins, level) in HALFWAY:
            continue
        magnitudes = of(bins, *size[1:])
        for sign, row in zip((1, -1), signs(name, amount(name, level, bins)), strict=True):
            magnitude = 0.0 if magnitudes is None else float(magnitudes[level]) * (sign if signed else 1)
            off = (ours(x, row) - changed(x, (THEIRS[name], magnitude))).abs()
            assert off.max() <= (name in BLENDED)
            wrong, seen = wrong + int((off > 0).sum()), seen + off.numel()
    assert wrong <= 0.01 * seen


def test_neutral_changes_no_bit() -> None:
    x = images(3, 9, 9).float() / 255
    assert torch.equal(to_images(ours(x * 255, list(NEUTRAL.values())).flatten(2), 9), x)


@pytest.mark.parametrize(("fill", "value"), [("black", [0, 0, 0]), ("mean", [102, 128, 153]), ("grey", [128] * 3)])
def test_fill(fill: str, value: list[int]) -> None:
    batch = Batch(torch.ones(2, 3, 8, 8), torch.ones(2, 1), torch.tensor(0.0), torch.tensor([0.4, 0.5, 0.6]))
    right = in_steps([[operation("pixels_x", 3)]], lambda key, n: [torch.zeros(n, dtype=torch.int64)], fill)
    out = (right(batch, Key.root(0)).x * 255).round()
    assert torch.equal(out[..., :3], torch.tensor(value)[:, None, None].expand(2, 3, 8, 3).float())
    assert (out[..., 3:] == 255).all()
