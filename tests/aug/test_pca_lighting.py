from collections.abc import Callable

import pytest
import torch
from scipy import stats
from tiny import SMALL_MODEL, TINY, config

from ablation.aug.pca_lighting import BASES, pca_lighting
from ablation.contract.check import check
from ablation.contract.sample import Shape
from ablation.errors import ConfigError
from ablation.key import Key
from ablation.trial.parts import build_optimizer
from ablation.types import Batch

Make = Callable[..., Batch]
COVARIANCE = [[0.06, 0.05, 0.04], [0.05, 0.07, 0.05], [0.04, 0.05, 0.08]]


def grey(n: int) -> Batch:
    return Batch(torch.full((n, 3, 2, 2), 0.5), torch.eye(n, 2), torch.tensor(0.0), torch.zeros(3))


@pytest.mark.parametrize("basis", ["imagenet", "cifar10", COVARIANCE])
def test_shifts_have_the_covariance_of_the_formula(basis: str | list[list[float]]) -> None:
    """V diag(l) a with a ~ N(0, s^2) has the covariance s^2 C^2, where C = V diag(l) V' is that of the pixels."""
    n, sigma = 60000, 0.5
    shift = (pca_lighting(sigma, basis)(grey(n), Key.root(1)).x - 0.5).double()
    assert (shift == shift[:, :, :1, :1]).all(), "one shift an image"
    shift = shift[:, :, 0, 0]
    if isinstance(basis, str):
        values, vectors = (torch.tensor(part).double() for part in BASES[basis])
        c = vectors @ values.diag() @ vectors.T
    else:
        c = torch.tensor(basis).double()
    wanted = sigma**2 * c @ c
    assert (torch.cov(shift.T) - wanted).abs().max() < 0.03 * wanted.max()
    values, vectors = torch.linalg.eigh(c)
    for value, axis in zip(values, vectors.T, strict=True):  # each axis by itself: the small ones too
        assert stats.kstest((shift @ axis)[:4000] / (sigma * value), "norm").pvalue > 1e-3


@pytest.mark.parametrize("name", BASES)
def test_axes_are_orthonormal(name: str) -> None:
    vectors = torch.tensor(BASES[name][1])
    torch.testing.assert_close(vectors.T @ vectors, torch.eye(3), atol=2e-3, rtol=0)


def test_lanes_are_single_seeds_and_the_format_stays(make: Make) -> None:
    batch, keys, aug = make(), [Key.root(i) for i in range(3)], pca_lighting()
    lanes = torch.vmap(lambda w: aug(batch, Key(w)).x)(torch.stack([k.word for k in keys]))
    for lane, key in zip(lanes, keys, strict=True):
        single = aug(batch, key).x
        assert torch.equal(lane, single)
        assert single.is_contiguous(memory_format=torch.channels_last)
        assert not torch.equal(single, batch.x)
    assert lanes.min() >= 0
    assert lanes.max() <= 1


def test_sigma_0_changes_nothing(make: Make) -> None:
    batch = make()
    assert pca_lighting(0.0)(batch, Key.root(0)) is batch


@pytest.mark.parametrize(
    ("arguments", "named"),
    [({"sigma": -0.1}, "sigma"), ({"basis": "imagnet"}, "basis"), ({"basis": [[1.0]]}, "basis"),
     ({"basis": [[1, 2, 3], [0, 1, 0], [0, 0, 1]]}, "basis"), ({"basis": [[1, 0, 0], [0, -1, 0], [0, 0, 1]]}, "basis")],
)  # fmt: skip
def test_refuses(arguments: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named}: "):
        pca_lighting(**arguments)  # type: ignore[arg-type]


def test_greys_are_refused(make: Make) -> None:
    with pytest.raises(ValueError, match="RGB"):
        pca_lighting()(make(c=1), Key.root(0))


def test_greys_are_refused_before_the_training() -> None:
    made = config(*TINY, *SMALL_MODEL, "aug=[cutout,pca_lighting]")
    with pytest.raises(ConfigError, match=r"^aug\.pca_lighting\.basis: .*RGB"):
        check(made, Shape(classes=10, channels=1, height=32, width=32, known=True), build_optimizer)
