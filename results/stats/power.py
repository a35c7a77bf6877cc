"""What a t test can find, from the noncentral t distribution. Two-sided, level 5 %, power 80 %."""

from __future__ import annotations

import math
from bisect import bisect_left
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.stats import nct, t

ALPHA = 0.05
POWER = 0.8
_MOST = 1000  # pairs


def power(noncentrality: npt.ArrayLike, df: npt.ArrayLike, alpha: float = ALPHA) -> npt.NDArray[np.float64]:
    """The chance of p < alpha if the true difference is that many of its standard errors.

    As statsmodels' `TTestPower`, which is nan for large effects: there the chance of a significant difference in the
    wrong direction is too small for SciPy. It is taken as 0.
    """
    critical = t.isf(alpha / 2, df)
    wrong = np.nan_to_num(nct.cdf(-critical, df, noncentrality))
    return np.asarray(nct.sf(critical, df, noncentrality) + wrong)


@lru_cache(maxsize=1024)
def findable(df: float) -> float:
    """The smallest true difference that is found with 80 % power, in standard errors."""
    top = 1.5 * float(t.isf(ALPHA / 2, df)) + 10
    return float(brentq(lambda value: float(power(value, df)) - POWER, 0.1, top))


def needed(difference: float, std: float, alpha: float = ALPHA) -> int | None:
    """How many pairs find a true difference with 80 % power; None: more than 1000.

    Args:
        difference: In the metric's unit.
        std: Of the paired differences.
        alpha: The level; a smaller one in a table, where p values are adjusted.
    """
    effect = min(abs(difference) / std, 100.0)  # more is found by two pairs as well
    pairs = range(2, _MOST + 1)
    first = bisect_left(pairs, True, key=lambda n: bool(power(effect * math.sqrt(n), n - 1, alpha) >= POWER))
    return pairs[first] if first < len(pairs) else None


def detectable(error: float, df: float) -> float:
    """The smallest true difference that is found, of a difference with that standard error."""
    return error * findable(df) if math.isfinite(error) else math.nan
