"""Comparisons against SciPy, published examples, and the cases where there is nothing to compute."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from results.stats.compare import Comparison, compare
from results.stats.holm import adjust
from results.stats.summary import Summary, summarize

# Student 1908: hours of sleep gained by ten patients with each of two drugs.
SLEEP = (
    (0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0),
    (1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4),
)


def seeds(values: Sequence[float], first: int = 0) -> dict[int, float]:
    return dict(enumerate(values, first))


def found(arm: dict[int, float], base: dict[int, float]) -> Comparison:
    comparison = compare(arm, base)
    assert comparison is not None
    return comparison


def test_students_sleep_paired() -> None:
    result = found(seeds(SLEEP[0]), seeds(SLEEP[1]))
    assert (result.n, result.paired, result.identical) == (10, True, False)
    assert result.diff == pytest.approx(-1.58)
    assert result.p == pytest.approx(0.002833, abs=5e-7)
    assert (result.low, result.high) == pytest.approx((-2.4598858, -0.7001142), abs=5e-8)


def test_students_sleep_without_a_common_seed() -> None:
    result = found(seeds(SLEEP[0]), seeds(SLEEP[1], first=100))
    assert (result.n, result.paired) == (10, False)
    assert result.p == pytest.approx(0.07939, abs=5e-6)
    assert (result.low, result.high) == pytest.approx((-3.3654832, 0.2054832), abs=5e-8)


@pytest.mark.parametrize(("n", "m"), [(2, 2), (3, 3), (3, 7), (10, 4)])
def test_as_scipy(n: int, m: int) -> None:
    rng = np.random.default_rng(n)
    a, b = rng.normal(92, 0.3, n).tolist(), rng.normal(91.8, 0.2, m).tolist()
    paired, welch = found(seeds(a[:m]), seeds(b[:n])), found(seeds(a), seeds(b, first=100))
    oracles = (
        (paired, stats.ttest_rel(a[: min(n, m)], b[: min(n, m)])),
        (welch, stats.ttest_ind(a, b, equal_var=False)),
    )
    for ours, theirs in oracles:
        interval = theirs.confidence_interval()
        assert (ours.p, ours.low, ours.high) == pytest.approx((theirs.pvalue, interval.low, interval.high))
    assert paired.n == welch.n == min(n, m)


def test_only_common_seeds_are_paired() -> None:
    result = found({0: 91.0, 1: 92.0, 2: 93.5, 7: 10.0}, {2: 93.0, 1: 91.0, 0: 90.8, 8: 99.0})
    assert (result.n, result.diff) == (3, pytest.approx((0.2 + 1.0 + 0.5) / 3))


def test_nothing_to_compare() -> None:
    assert compare({}, {0: 1.0}) is None
    assert compare({0: 1.0}, {}) is None


@pytest.mark.parametrize("base", [{0: 90.0}, {5: 90.0}, {5: 90.0, 6: 91.0}])
def test_one_value_says_nothing_about_noise(base: dict[int, float]) -> None:
    result = found({0: 91.0}, base)
    assert (result.n, result.identical, result.needed) == (1, False, None)
    unknown = (result.std, result.low, result.high, result.boot_low, result.p, result.p_exact, result.detectable)
    assert all(map(math.isnan, unknown))


def test_two_pairs_have_no_bootstrap_interval() -> None:
    result = found({0: 91.0, 1: 92.0}, {0: 90.0, 1: 91.5})
    assert math.isnan(result.boot_low)
    assert math.isfinite(result.low)
    assert result.p_exact == 0.5


@pytest.mark.parametrize("n", [2, 3, 8])
def test_identical_pairs(n: int) -> None:
    values = seeds([90 + k / 7 for k in range(n)])
    result = found(values, dict(values))
    assert (result.identical, result.diff, result.std, result.p, result.p_exact) == (True, 0.0, 0.0, 1.0, 1.0)
    assert math.isnan(result.low), "an interval without width would claim to be sure"
    assert result.needed is None


@pytest.mark.parametrize("step", [0.1, -1 / 3])
@pytest.mark.parametrize("n", [2, 3, 8])
def test_pairs_that_all_differ_by_the_same_have_no_miraculous_p(n: int, step: float) -> None:
    base = seeds([90 + k / 7 for k in range(n)])
    result = found({seed: value + step for seed, value in base.items()}, base)  # equal but for rounding
    assert (result.identical, result.std) == (False, 0.0)
    assert result.p == result.p_exact == 2 / 2**n
    assert math.isnan(result.low)
    assert math.isnan(result.detectable)


def test_groups_without_spread() -> None:
    apart = found({0: 91.0, 1: 91.0, 2: 91.0}, {5: 90.0, 6: 90.0, 7: 90.0})
    assert (apart.p, apart.p_exact, apart.identical) == (0.1, 0.1, False)
    assert found({0: 91.0, 1: 91.0}, {5: 91.0, 6: 91.0}).p == 1.0


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_values_that_are_no_numbers_are_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        compare({0: 1.0, 1: wrong}, {0: 1.0})
    with pytest.raises(ValueError, match="finite"):
        compare({}, {0: wrong})
    with pytest.raises(ValueError, match="finite"):
        summarize([1.0, wrong])


def test_the_same_call_gives_the_same() -> None:
    arm, base = seeds(SLEEP[0]), seeds(SLEEP[1])
    assert found(arm, base) == found(dict(reversed(arm.items())), base)


def test_summary() -> None:
    assert summarize(iter([1.0, 2.0, 4.0])) == Summary(3, pytest.approx(7 / 3), pytest.approx(1.5275252))
    assert summarize([5.0]).mean == 5.0
    assert math.isnan(summarize([5.0]).std)
    with pytest.raises(ValueError, match="one finite number"):
        summarize([])


def test_holm_as_published_and_without_what_is_not_known() -> None:
    assert adjust([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert adjust([math.nan, 0.03, math.nan, 0.02]) == pytest.approx([math.nan, 0.04, math.nan, 0.04], nan_ok=True)
    assert adjust([0.9, 0.8]) == [1.0, 1.0]
    drawn = np.random.default_rng(0).uniform(0, 0.3, 12).round(2).tolist()
    assert adjust(drawn) == pytest.approx(multipletests(drawn, method="holm")[1])
    assert adjust([]) == []
