"""What the statistics promise, on made-up tables whose truth is known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from results.stats import student
from results.stats.compare import compare
from results.stats.holm import adjust
from results.stats.power import findable, needed, power
from results.stats.resample import interval, sign_flips

Array = npt.NDArray[np.float64]
Noise = Callable[[np.random.Generator, tuple[int, ...]], Array]


def normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return rng.normal(0, 1, shape)


def skewed(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Skewness 0.5."""
    return (rng.gamma(16, size=shape) - 16) / 4


def counted(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Accuracies of two nets on 10,000 images, 92 % right, in percent."""
    return (rng.binomial(10_000, 0.92, shape) - rng.binomial(10_000, 0.92, shape)) / 100


def judged(differences: Array) -> tuple[Array, Array, Array]:
    """Ends of intervals and p values over the last axis, as `compare` computes them."""
    n = differences.shape[-1]
    mean, error = differences.mean(-1), differences.std(-1, ddof=1) / np.sqrt(n)
    return *student.interval(mean, error, n - 1), student.p_value(mean, error, n - 1)


def test_the_simulations_compute_what_compare_does() -> None:
    differences = normal(np.random.default_rng(0), (20, 4))
    low, high, p = judged(differences)
    for row, expected in zip(differences, zip(low, high, p, strict=True), strict=True):
        found = compare(dict(enumerate(row)), dict.fromkeys(range(4), 0.0))
        assert found is not None
        assert (found.low, found.high, found.p) == pytest.approx(expected)


@pytest.mark.parametrize("noise", [normal, skewed, counted])
@pytest.mark.parametrize("n", [3, 5, 10])
def test_95_percent_intervals_hold_the_truth_in_95_percent(n: int, noise: Noise) -> None:
    differences = noise(np.random.default_rng(n), (20_000, n))
    differences = differences[np.ptp(differences, axis=1) > 0]  # `compare` gives no interval there
    low, high, _ = judged(differences)
    assert 0.93 < np.mean((low <= 0) & (high >= 0)) < 0.97


def bimodal(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """A training finds its way, or does not: +1 or -1, with a little noise."""
    return rng.choice([-1.0, 1.0], shape) + rng.normal(0, 0.05, shape)


@pytest.mark.parametrize(
    ("noise", "n", "claimed"),
    [(normal, 2, 0.05), (normal, 3, 0.05), (bimodal, 2, 0.49), (bimodal, 3, 0.25), (bimodal, 4, 0.12)],
)
def test_two_seeds_claim_falsely_no_oftener_than_three_only_if_noise_is_normal(
    n: int, noise: Noise, claimed: float
) -> None:
    """The rates that `results.tables.verdict.LEAST` is explained by."""
    _, _, p = judged(noise(np.random.default_rng(n), (20_000, n)))
    assert np.mean(p < 0.05) == pytest.approx(claimed, abs=0.01)


@pytest.mark.parametrize(("n", "found", "wrong"), [(2, 0.26, 0.14), (3, 0.74, 0.06)])
def test_two_seeds_find_little_and_err_in_its_direction(n: int, found: float, wrong: float) -> None:
    rng = np.random.default_rng(n)
    _, _, p = judged(rng.normal(3, 1, (20_000, n)))
    assert np.mean(p < 0.05) == pytest.approx(found, abs=0.015)
    small = rng.normal(0.5, 1, (100_000, n))
    _, _, p = judged(small)
    assert np.mean(small[p < 0.05].mean(-1) < 0) == pytest.approx(wrong, abs=0.02)


@pytest.mark.parametrize(("n", "held"), [(3, 0.74), (5, 0.84), (10, 0.89)])
def test_the_bootstrap_interval_is_as_much_too_narrow_as_it_says(n: int, held: float) -> None:
    differences = normal(np.random.default_rng(n), (500, n))
    ends = np.array([interval(row) for row in differences])
    assert np.mean((ends[:, 0] <= 0) & (ends[:, 1] >= 0)) == pytest.approx(held, abs=0.06)


def table(rng: np.random.Generator, tables: int, arms: int, seeds: int, effects: Array | float = 0.0) -> Array:
    """P values of arms against one baseline: what is common to a seed cancels, the baseline's own noise does not."""
    shared = rng.normal(0, 2, (tables, 1, seeds))
    base = shared + rng.normal(0, 1, (tables, 1, seeds))
    values = shared + rng.normal(0, 1, (tables, arms, seeds)) + np.broadcast_to(effects, (arms,))[:, None]
    return judged(values - base)[2]


@pytest.mark.parametrize("seeds", [3, 5])
def test_a_whole_table_of_nothing_makes_a_claim_in_5_percent(seeds: int) -> None:
    p = table(np.random.default_rng(seeds), 4000, 8, seeds)
    claims = np.mean([min(adjust(row)) < 0.05 for row in p])
    assert claims < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 4000)
    assert np.mean(p.min(1) < 0.05) > 0.15, "unadjusted it makes many"


def test_true_effects_beside_do_not_raise_false_claims() -> None:
    effects = np.array([5.0, 5.0, 3.0, 0, 0, 0, 0, 0])
    p = table(np.random.default_rng(9), 4000, 8, 5, effects)
    false = np.mean([min(adjust(row)[3:]) < 0.05 for row in p])
    assert false < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 4000)


@pytest.mark.parametrize("noise", [normal, skewed])
def test_flips_of_signs_keep_their_level(noise: Noise) -> None:
    rows = noise(np.random.default_rng(2), (4000, 7))
    assert np.mean([sign_flips(row) < 0.05 for row in rows]) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 4000)


@pytest.mark.parametrize("effect", [3.0, 1.5, 0.8, 0.4])
def test_the_seeds_that_are_needed_find_it_in_80_percent(effect: float) -> None:
    n = needed(effect, 1.0)
    assert n is not None
    found = np.mean(judged(effect + normal(np.random.default_rng(n), (20_000, n)))[2] < 0.05)
    assert found > 0.79
    assert found == pytest.approx(float(power(effect * np.sqrt(n), n - 1)), abs=0.01)
    fewer = np.mean(judged(effect + normal(np.random.default_rng(n), (20_000, n - 1)))[2] < 0.05)
    assert fewer < 0.81


@pytest.mark.parametrize("n", [2, 3, 5, 10])
def test_what_is_detectable_is_found_in_80_percent(n: int) -> None:
    true = findable(n - 1) / np.sqrt(n)
    found = judged(true + normal(np.random.default_rng(n), (20_000, n)))[2] < 0.05
    assert np.mean(found) == pytest.approx(0.8, abs=0.01)


def test_arms_that_are_one_tie_in_95_percent() -> None:
    p = table(np.random.default_rng(4), 20_000, 1, 4)
    assert np.mean(p >= 0.05) == pytest.approx(0.95, abs=0.01)
