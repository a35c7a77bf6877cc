"""Tests that try everything, and what a test can find: against published numbers, SciPy and statsmodels."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import TTestPower

from results.stats.power import detectable, findable, needed, power
from results.stats.resample import interval, permutations, sign_flips

# Darwin's maize, eighths of an inch between crossed and self-fertilised plants (Fisher 1935, section 21).
MAIZE = np.array([49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48.0])


def test_fishers_maize() -> None:
    assert sign_flips(MAIZE) == 2 * 863 / 2**15


@pytest.mark.parametrize("n", [2, 3, 5, 6, 10])
def test_the_smallest_p_that_flips_can_give(n: int) -> None:
    assert sign_flips(np.linspace(1, 2, n)) == 2 / 2**n


@pytest.mark.parametrize("n", [3, 6, 9])
def test_flips_of_ranks_are_wilcoxons_test(n: int) -> None:
    differences = np.random.default_rng(n).normal(0.3, 1, n)
    ranks = np.sign(differences) * stats.rankdata(np.abs(differences))
    assert sign_flips(ranks) == pytest.approx(stats.wilcoxon(differences, method="exact").pvalue)


def test_many_pairs_are_drawn() -> None:
    differences = np.random.default_rng(0).normal(0.4, 1, 30)
    assert sign_flips(differences) == pytest.approx(stats.ttest_1samp(differences, 0).pvalue, abs=0.01)
    assert sign_flips(differences + 100) == 1 / 20_001, "never 0"


@pytest.mark.parametrize(("n", "m"), [(2, 2), (3, 3), (3, 5), (6, 4)])
def test_splits_are_scipys_permutation_test(n: int, m: int) -> None:
    rng = np.random.default_rng(n + m)
    a, b = rng.normal(0.8, 1, n), rng.normal(0, 1, m)

    def distance(x: np.ndarray, y: np.ndarray) -> float:
        return float(abs(x.mean() - y.mean()))

    theirs = stats.permutation_test((a, b), distance, alternative="greater", n_resamples=np.inf)
    assert permutations(a, b) == pytest.approx(theirs.pvalue)
    assert permutations(b, a) == permutations(a, b)


def test_many_splits_are_drawn() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(0.5, 1, 20), rng.normal(0, 1, 25)
    assert permutations(a, b) == pytest.approx(stats.ttest_ind(a, b).pvalue, abs=0.01)


def test_the_bootstrap_interval_lies_within_the_pairs_and_tightens() -> None:
    three = interval(np.array([0.2, 0.4, 0.9]))
    assert three == pytest.approx((0.2, 0.9)), "27 resamples: the ends are the smallest and the largest pair"
    rng = np.random.default_rng(0)
    many = rng.normal(1, 1, 400)
    error = many.std(ddof=1) / 20
    assert interval(many) == pytest.approx((many.mean() - 1.96 * error, many.mean() + 1.96 * error), abs=0.1 * error)


@pytest.mark.parametrize("df", [1, 2, 4, 9.5, 100])
def test_power_is_statsmodels_where_that_is_known(df: float) -> None:
    noncentrality = np.linspace(0, 40, 81)
    theirs = TTestPower().power(noncentrality, 1, 0.05, df=df)
    known = ~np.isnan(theirs)
    ours = power(noncentrality, df)
    np.testing.assert_allclose(ours[known], theirs[known], atol=1e-9)
    assert (np.diff(ours) >= -1e-9).all(), "also where it is not"
    assert ours[0] == pytest.approx(0.05)


def test_needed_as_published() -> None:
    """G*Power, matched pairs, two-sided 5 %, power 80 %: 34 for a medium effect, 15 for a large, 199 for a small."""
    assert [needed(effect, 1) for effect in (0.5, 0.8, 0.2)] == [34, 15, 199]
    assert needed(-5, 10) == 34
    assert needed(1e9, 1e-3) == 2
    assert needed(0.01, 1) is None


@pytest.mark.parametrize("n", [2, 3, 4, 10, 1000])
def test_detectable_and_needed_agree(n: int) -> None:
    smallest = detectable(2.0 / math.sqrt(n), n - 1)
    assert smallest == 2.0 / math.sqrt(n) * findable(n - 1)
    assert needed(1.0001 * smallest, 2.0) == n
    assert needed(0.98 * smallest, 2.0) != n or n == 2
