"""Ranks, their intervals, and how far two rankings agree."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest
from scipy.stats import spearmanr

from results.stats.ranks import agreement, intervals, ranks

OURS = [61.2, 58.4, 63.9, 55.0, 57.3, 60.1, 44.8, 59.9]
THEIRS = [92.1, 90.8, 92.6, 91.1, 90.2, 92.1, 88.4, 89.2]


def by_hand(values: Sequence[float]) -> list[float]:
    """1 + how many are better + half of how many others are equal."""
    return [1 + sum(b > a for b in values) + (sum(b == a for b in values) - 1) / 2 for a in values]


def test_the_best_is_1_and_ties_share() -> None:
    assert ranks(THEIRS, more=True).tolist() == by_hand(THEIRS) == [2.5, 5, 1, 4, 6, 2.5, 8, 7]
    assert ranks([-value for value in THEIRS], more=False).tolist() == by_hand(THEIRS)
    assert ranks([(58.1 + 58.2) / 2, (58.0 + 58.3) / 2, 0.1 + 0.2, 0.3], more=True).tolist() == [1.5, 1.5, 3.5, 3.5]


def test_correlations_are_those_of_their_definitions() -> None:
    found = agreement(OURS, THEIRS)
    a, b = np.array(by_hand(OURS)), np.array(by_hand(THEIRS))
    assert found.spearman == pytest.approx(np.corrcoef(a, b)[0, 1])
    signs = [(np.sign(a[i] - a[j]), np.sign(b[i] - b[j])) for i, j in combinations(range(8), 2)]
    alike = sum(x * y for x, y in signs)
    assert found.kendall == pytest.approx(
        alike / math.sqrt(sum(x != 0 for x, _ in signs) * sum(y != 0 for _, y in signs))
    )
    assert found.n == 8
    assert -1 <= found.low < found.spearman < found.high <= 1


def test_the_interval_is_the_spread_over_resampled_rows() -> None:
    rng = np.random.default_rng(7)
    ours = rng.normal(size=25)
    theirs = ours + rng.normal(size=25)
    drawn = [spearmanr(ours[i], theirs[i]).statistic for i in rng.integers(0, 25, (2000, 25))]
    found = agreement(ours, theirs)
    assert [found.low, found.high] == pytest.approx(np.quantile(drawn, [0.025, 0.975]).tolist(), abs=0.05)


def test_the_same_numbers_give_the_same_interval_and_ends_are_ends() -> None:
    assert agreement(OURS, THEIRS) == agreement(OURS, THEIRS)
    same = agreement(OURS, OURS)
    assert (same.spearman, same.low, same.high, same.kendall) == pytest.approx((1, 1, 1, 1))
    assert agreement(OURS, [-value for value in OURS]).spearman == pytest.approx(-1)


def test_four_rows_have_an_interval_and_constants_have_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # also of resamples that are one row four times
        few = agreement(OURS[:4], THEIRS[:4])
        assert few.low < few.spearman <= few.high
        flat = agreement(OURS[:4], [1.0] * 4)
    assert all(map(math.isnan, (flat.spearman, flat.low, flat.high, flat.kendall)))


def test_ranks_are_as_sure_as_the_means_are_apart() -> None:
    sure = intervals([[90.0, 90.1], [80.0, 80.1], [70.1, 70.0]], more=True)
    assert sure == [(1, 1), (2, 2), (3, 3)]
    assert intervals([[90.0, 90.1], [80.0, 80.1], [70.1, 70.0]], more=False) == sure[::-1]
    near = intervals([[90.0, 91.0], [90.4, 90.9], [70.0, 71.0]], more=True)
    assert near == [(1, 2), (1, 2), (3, 3)]


def test_noise_is_borrowed_where_a_row_has_none_of_its_own() -> None:
    lucky = intervals([[90.0, 90.0], [89.0, 91.0], [90.1]], more=True)
    assert lucky == [(1, 3)] * 3, "two equal seeds are luck"
    assert intervals([[90.0], [91.0]], more=True) is None
    assert intervals([], more=True) is None


def test_an_interval_holds_the_true_rank_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    held = []
    for _ in range(20):
        true = rng.normal(60, 3, 15)
        found = intervals((true[:, None] + rng.normal(size=(15, 2))).tolist(), more=True)
        assert found
        held += [low <= rank <= high for rank, (low, high) in zip(ranks(true, more=True), found, strict=True)]
    assert np.mean(held) > 0.92
