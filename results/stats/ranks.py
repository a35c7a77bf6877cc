"""How surely a few seeds rank rows, and how far a ranking agrees with another one.

In simulations (150 tables each of 10 or 27 rows, 2, 3 or 5 seeds, means that spread 1, 3 or 10 times as far as seeds
do) the interval of a rank held the true one in 92 to 99.7 % of cases, also where rows' noise differed threefold. With
each row's own seeds alone it would have been 69 % with 2 seeds of 27 close rows.

The interval of Spearman's correlation held the true one in 94 to 98 % of cases with 10 or 25 rows (600 tables each,
true correlations 0 to 0.9), but in 78 to 96 % with 5. Rows are drawn whole, with their seeds: the noise of seeds is in
what rows differ by, and drawing seeds too would count it twice (Davison and Hinkley 1997, 3.8). BCa did no better.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import kendalltau, rankdata, spearmanr

Array = npt.NDArray[np.float64]
SEED = 0
LEAST = 4  # rows that a correlation is of
_RESAMPLES = 9_999
_DIGITS = 9  # means that differ by less are equal but for rounding
_ENDS = (0.025, 0.975)


@dataclass(frozen=True)
class Agreement:
    """Of two rankings of the same rows."""

    n: int  # rows
    spearman: float  # nan: all rows are equal in one of the rankings
    low: float  # 95 % bootstrap interval (percentile); nan likewise
    high: float
    kendall: float  # tau-b


def ranks(values: npt.ArrayLike, more: bool) -> Array:
    """1 for the best along the last axis; equal values share their average rank. `more`: more is better."""
    array = np.asarray(values, dtype=float).round(_DIGITS)
    return np.asarray(rankdata(-array if more else array, axis=-1), dtype=float)


def intervals(groups: Sequence[Sequence[float]], more: bool) -> list[tuple[float, float]] | None:
    """For the values of each row's seeds, between which ranks 95 % of resamples put its mean.

    Seeds' distances from their rows' means are taken to be of one kind and drawn from all rows: two seeds alone say
    next to nothing of their spread. So a row with one seed has an interval too.

    Returns:
        None if no row has two seeds: then nothing is known of the noise.
    """
    rows = [np.asarray(group, dtype=float) for group in groups]
    # A mean of n is nearer to its values than the truth is.
    noise = [(row - row.mean()) * math.sqrt(len(row) / (len(row) - 1)) for row in rows if len(row) > 1]
    if not noise:
        return None
    pool, rng = np.sort(np.concatenate(noise)), np.random.default_rng(SEED)
    drawn = [row.mean() + rng.choice(pool, (_RESAMPLES, len(row))).mean(1) for row in rows]
    low, high = np.quantile(ranks(np.stack(drawn, 1), more), _ENDS, axis=0, method="inverted_cdf")
    return [(float(a), float(b)) for a, b in zip(low, high, strict=True)]


def agreement(ours: npt.ArrayLike, theirs: npt.ArrayLike) -> Agreement:
    """Rank correlations of two numbers, or ranks, of the same rows, in the same direction; of two rows at least."""
    a, b = np.asarray(ours, dtype=float), np.asarray(theirs, dtype=float)
    if min(np.ptp(a), np.ptp(b)) == 0:
        return Agreement(len(a), math.nan, math.nan, math.nan, math.nan)
    rows = np.random.default_rng(SEED).integers(0, len(a), (_RESAMPLES, len(a)))
    drawn = _spearman(a[rows], b[rows])  # SciPy's bootstrap warns of resamples without a correlation
    low, high = np.nanquantile(drawn, _ENDS)  # a resample of one row again and again has no correlation
    return Agreement(
        len(a), float(spearmanr(a, b).statistic), float(low), float(high), float(kendalltau(a, b).statistic)
    )


def _spearman(a: Array, b: Array) -> Array:
    """Of many resamples at once; nan where one side is constant."""
    x, y = (rankdata(each, axis=-1) for each in (a, b))
    x, y = (each - each.mean(-1, keepdims=True) for each in (x, y))
    both, scale = (x * y).sum(-1), np.sqrt((x * x).sum(-1) * (y * y).sum(-1))
    return np.asarray(np.divide(both, scale, out=np.full_like(both, np.nan), where=scale > 0))
