"""The reading of a range test, on curves whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest

from results.stats.range_test import Reading, read

STEPS = 120
X = np.linspace(-5, 1, STEPS, endpoint=False)  # the logarithm of the rate


def curve(centre: float = -1.5, explodes: float = 0.2, noise: float = 0.0, width: float = 0.2) -> list[float | None]:
    """Logistic in the logarithm of the rate, steepest at the centre; then it explodes, and at last is not finite."""
    fall = 2.3 - 1.5 / (1 + np.exp(-(X - centre) / width))
    losses = fall + np.exp((X - explodes) * 30) + noise * np.random.default_rng(0).standard_normal(STEPS)
    return [float(v) if v < 1e6 else None for v in losses]


def of(losses: list[float | None]) -> Reading:
    return read([float(10**x) for x in X], losses)


@pytest.mark.parametrize("centre", [-3.0, -2.0, -1.5])
def test_steepest_is_the_centre_of_a_logistic(centre: float) -> None:
    """To two of the 0.05 decades between steps."""
    found = of(curve(centre, width=0.25))
    assert found.steepest is not None
    assert np.log10(found.steepest) == pytest.approx(centre, abs=0.1)


def test_lowest_is_where_the_fall_meets_the_explosion() -> None:
    losses = curve()
    low = X[int(np.argmin([np.inf if v is None else v for v in losses]))]
    found = of(losses)
    assert found.lowest is not None
    assert np.log10(found.lowest) == pytest.approx(low, abs=0.25), "within the width of the smoothing"
    assert found.suggestion == float(f"{found.lowest / 10:.0e}")
    assert (found.trouble, found.remark) == ("", "")


def test_noise_moves_it_little() -> None:
    clean, noisy = of(curve()), of(curve(noise=0.1))
    for name in ("steepest", "lowest"):
        assert np.log10(getattr(noisy, name)) == pytest.approx(np.log10(getattr(clean, name)), abs=0.3)


def test_nothing_is_read_beyond_the_explosion() -> None:
    """However low it is there: a dead network's loss is constant and finite again."""
    losses = curve()
    high = next(i for i, v in enumerate(losses) if v is None or v > 1000)
    assert of(losses[:high] + [0.0] * (STEPS - high)).lowest == pytest.approx(of(losses).lowest, rel=0.2)
    assert len(of(losses).smooth) <= high + 1
    first = losses.index(None)
    broken: list[float | None] = [*losses[:60], None, *losses[61:first]]
    assert len(of(broken + [None] * (STEPS - first)).smooth) == 60


def test_one_high_loss_does_not_end_it() -> None:
    losses = curve()
    losses[30] = 9.0
    assert of(losses).lowest == pytest.approx(of(curve()).lowest, rel=0.01)


def test_a_fall_from_a_bump_is_no_fall() -> None:
    """A single unstable stretch before the lowest loss leaves the steepest fall where it was."""
    losses = curve(-3.0)
    bumped = [
        None if v is None else v + 2.0 * float(np.exp(-(((x + 1.6) / 0.2) ** 2)))
        for v, x in zip(losses, X, strict=True)
    ]
    assert of(bumped).steepest == of(losses).steepest
    assert "before it fell again" in of(bumped).remark


def test_no_suggestion_without_a_fall() -> None:
    flat = of([2.3 + 0.01 * (i % 2) for i in range(STEPS)])
    assert flat.suggestion is None
    assert "the loss fell by 0.0 % only, in" in flat.trouble
    short = of([2.3] * 5 + [None] * (STEPS - 5))
    assert "in 5 of 120 steps only" in short.trouble
    assert of([None] * STEPS).suggestion is None


def test_a_fall_to_the_very_end_is_remarked() -> None:
    falling = of([float(v) for v in 2.3 - 0.3 * (X + 5)])
    assert "raise sched.end" in falling.remark
    assert falling.suggestion == 0.9


def test_a_long_sweep_takes_no_square_of_its_length() -> None:
    n = 100_000
    found = read(np.geomspace(1e-5, 10, n).tolist(), np.linspace(2, 1, n).tolist())
    assert len(found.smooth) == n
