from collections.abc import Callable

import pytest
import torch
from scipy import stats
from torchvision.transforms import v2

from ablation.aug.gaussian_noise import gaussian_noise
from ablation.key import Key
from ablation.types import Batch

Make = Callable[..., Batch]


def flat(n: int, value: float = 0.5, side: int = 21) -> Batch:
    return Batch(torch.full((n, 3, side, side), value), torch.eye(n, 2), torch.tensor(0.0), torch.zeros(3))


@pytest.mark.parametrize("value", [0.5, 0.05])
def test_values_are_torchvisions(value: float) -> None:
    """Both at a middle grey, and at a dark one where a third is cut off at 0."""
    batch = flat(8, value)
    ours = gaussian_noise((0.1, 0.1))(batch, Key.root(1)).x.flatten()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = v2.GaussianNoise(sigma=0.1)(batch.x).flatten()
    assert stats.ks_2samp(ours, theirs, method="asymp").pvalue > 1e-3
    assert abs((ours == 0).float().mean() - stats.norm.cdf(-value / 0.1)) < 0.02


def test_pixels_channels_and_images_are_independent() -> None:
    noise = gaussian_noise((0.1, 0.1))(flat(40), Key.root(2)).x - 0.5
    for shifted in (noise.roll(1, 0), noise.roll(1, 1), noise.roll(1, 2), noise.roll(1, 3), noise.flatten().flip(0)):
        r = torch.corrcoef(torch.stack([noise.flatten(), shifted.flatten()]))[0, 1]
        assert abs(r) < 5 / noise.numel() ** 0.5


def test_one_strength_an_image_uniform_in_the_span() -> None:
    s = (gaussian_noise((0.05, 0.1))(flat(500), Key.root(3)).x - 0.5).flatten(1).std(1)
    assert stats.kstest(s, stats.uniform(0.05, 0.05).cdf).statistic < 0.08


def test_probability_and_what_is_not_chosen_keeps_its_bits(make: Make) -> None:
    batch = make(n=500, h=4, w=4)
    same = (gaussian_noise((0.1, 0.1), p=0.3)(batch, Key.root(0)).x == batch.x).flatten(1).all(1)
    assert abs(same.float().mean() - 0.7) < 0.08


@pytest.mark.parametrize("arguments", [{"p": 0.0}, {"sigma": [0.0, 0.0]}])
def test_neutral(make: Make, arguments: dict[str, object]) -> None:
    batch = make()
    assert gaussian_noise(**arguments)(batch, Key.root(0)) is batch  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "named"), [({"sigma": [0.2, 0.1]}, "sigma"), ({"sigma": [-0.1, 0.1]}, "sigma"), ({"p": 1.5}, "p")]
)
def test_refuses(arguments: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named}: "):
        gaussian_noise(**arguments)  # type: ignore[arg-type]
