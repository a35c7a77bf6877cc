"""Student's t: interval and p value of differences whose standard errors are estimated.

In simulations (400,000 each) the 95 % interval held the truth in 95.0 % of cases with 3, 5 or 10 pairs whose
differences are normal, or those of two counts of 10,000 test images; in 94.6 % where they are slightly skewed (gamma of
shape 16, skewness 0.5), but only in 88 to 90 % where they are exponential. Welch's interval, with 3 to 10 values a
group and standard deviations up to 1 to 3: 93.4 to 96.5 %.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.stats import t

from results.stats.power import ALPHA

Array = npt.NDArray[np.float64]


def interval(difference: npt.ArrayLike, error: npt.ArrayLike, df: npt.ArrayLike) -> tuple[Array, Array]:
    """The ends of 95 % intervals.

    Args:
        difference: Of means.
        error: Its standard error, not 0.
        df: Degrees of freedom of the error.
    """
    half = np.asarray(error) * t.isf(ALPHA / 2, df)
    return np.asarray(difference - half), np.asarray(difference + half)


def p_value(difference: npt.ArrayLike, error: npt.ArrayLike, df: npt.ArrayLike) -> Array:
    """Two-sided p of the hypothesis that there is no difference."""
    return np.asarray(2 * t.sf(np.abs(difference) / np.asarray(error), df))
