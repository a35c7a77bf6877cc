from collections.abc import Callable

import pytest
import torch
from torchvision.transforms.v2 import functional as F

from ablation.aug.gaussian_blur import gaussian_blur
from ablation.key import Key
from ablation.types import Batch

Make = Callable[..., Batch]


@pytest.mark.parametrize(("h", "w", "size", "kernel"), [(32, 32, None, 3), (64, 61, None, 7), (12, 9, 5, 5)])
def test_is_torchvisions_with_the_strengths_drawn(make: Make, h: int, w: int, size: int | None, kernel: int) -> None:
    batch, key = make(n=6, h=h, w=w), Key.root(2)
    out = gaussian_blur((0.1, 2.0), 1.0, size)(batch, key).x
    sigmas = 0.1 + 1.9 * key.fold("sigma").uniform(6)
    assert sigmas.max() > 1 > sigmas.min()
    for image, sigma, blurred in zip(batch.x, sigmas.tolist(), out, strict=True):
        torch.testing.assert_close(blurred, F.gaussian_blur(image, [kernel, kernel], [sigma, sigma]))


def test_a_kernel_larger_than_the_image_is_mirrored_on(make: Make) -> None:
    out = gaussian_blur((3.0, 3.0), 1.0, 41)(make(h=3, w=2), Key.root(0)).x
    assert out.flatten(2).std(2).max() < 0.02  # nothing but the mean is left of so small an image


def test_probability_and_what_is_not_chosen_keeps_its_bits(make: Make) -> None:
    batch = make(n=500, h=6, w=6)
    same = (gaussian_blur(p=0.3)(batch, Key.root(0)).x == batch.x).flatten(1).all(1)
    assert abs(same.float().mean() - 0.7) < 0.09


@pytest.mark.parametrize("arguments", [{"p": 0.0}, {"size": 1}])
def test_neutral(make: Make, arguments: dict[str, object]) -> None:
    batch = make()
    assert gaussian_blur(**arguments)(batch, Key.root(0)) is batch  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"sigma": [0.0, 1.0]}, "sigma"),
        ({"sigma": [2.0]}, "sigma"),
        ({"p": -1.0}, "p"),
        ({"size": 4}, "size"),
        ({"size": 1.5}, "size"),
    ],
)
def test_refuses(arguments: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named}: "):
        gaussian_blur(**arguments)  # type: ignore[arg-type]
