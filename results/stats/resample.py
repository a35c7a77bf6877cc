"""Tests and intervals by resampling: without a distribution assumed, and the same at every call."""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
import numpy.typing as npt
from scipy.stats import bootstrap

Array = npt.NDArray[np.float64]
_PAIRS = 16  # up to here all signs are tried
_SPLITS = 20_000  # up to here all ways to split two groups
_DRAWS = 20_000
_RESAMPLES = 9_999
_ROUNDING = 1e-9  # sums that differ by less are equal


def sign_flips(differences: Array) -> float:
    """Two-sided p of the hypothesis that each difference might as well have had the other sign (Fisher 1935).

    Exact up to 16 pairs: the share of the 2^n ways to choose signs whose sum is at least as far from 0. Beyond, of
    20,000 random ones. It cannot be less than 2/2^n: 0.25 with 3 pairs, 0.0625 with 5, 0.031 with 6.
    """
    n = len(differences)
    if n <= _PAIRS:
        signs = 1 - 2 * ((np.arange(2 ** (n - 1))[:, None] >> np.arange(n)) & 1)  # the others mirror these
        return float(np.mean(_as_far(signs @ differences, differences)))
    drawn = np.random.default_rng(0).choice((-1.0, 1.0), (_DRAWS, n)) @ np.sort(np.abs(differences))
    return float((1 + np.sum(_as_far(drawn, differences))) / (1 + _DRAWS))


def _as_far(sums: Array, differences: Array) -> npt.NDArray[np.bool_]:
    return np.asarray(np.abs(sums) >= abs(differences.sum()) - _ROUNDING * np.abs(differences).sum())


def permutations(a: Array, b: Array) -> float:
    """Two-sided p of the hypothesis that values might as well have been in the other group: by the means' distance.

    Exact up to 20,000 ways to split the values, beyond of 20,000 random ones. With 3 and 3 it is 0.1 at least.
    """
    values = np.sort(np.concatenate([a, b]))
    values -= values.mean()
    if comb(len(values), len(a)) <= _SPLITS:
        sums = values[np.array(list(combinations(range(len(values)), len(a))))].sum(1)
        extra = 0
    else:
        rng = np.random.default_rng(0)
        sums = np.array([rng.permutation(values)[: len(a)].sum() for _ in range(_DRAWS)])
        extra = 1  # the split that was observed
    observed = abs(a.mean() - b.mean()) * len(a) * len(b) / len(values)  # the sum of a, from the common mean
    far = np.abs(sums) >= observed - _ROUNDING * np.abs(values).sum()
    return float((extra + far.sum()) / (extra + len(sums)))


def interval(*groups: Array) -> tuple[float, float]:
    """A 95 % percentile interval of the mean, or of the difference of two groups' means. Too narrow for few seeds.

    Measured on normal differences (3,000 each): it held the truth in 74 % of cases with 3 pairs, 84 % with 5, 89 % with
    10; of two groups of 3 in 80 %, of 5 in 88 %. BCa and basic intervals did no better. It shows what the seeds at hand
    say without an assumption; decisions are the t interval's. Resamples are drawn by a fixed seed.
    """
    found = bootstrap(
        [np.sort(group) for group in groups],
        _mean if len(groups) == 1 else _difference,
        n_resamples=_RESAMPLES,
        method="percentile",
        rng=np.random.default_rng(0),
        vectorized=True,
    ).confidence_interval
    return float(found.low), float(found.high)


def _mean(a: Array, axis: int) -> Array:
    return np.asarray(a.mean(axis))


def _difference(a: Array, b: Array, axis: int) -> Array:
    return np.asarray(a.mean(axis) - b.mean(axis))
