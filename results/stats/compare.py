"""An arm against its baseline, paired by seed if they share their random numbers, so that much of the noise cancels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from results.stats import student
from results.stats.power import detectable, needed
from results.stats.resample import interval, permutations, sign_flips

Array = npt.NDArray[np.float64]
_ROUNDING = 1e-9  # of the values: differences that vary by less do not vary
_RESAMPLED = 3  # seeds from which on there is a bootstrap interval


@dataclass(frozen=True)
class Comparison:
    """Arm minus baseline, in the metric's unit.

    The t interval and its p are the ones to go by: they hold what they promise for few seeds, which the bootstrap
    interval does not (both were measured: `student`, `resample`). `p_exact` assumes no distribution but cannot be
    small for few seeds. Pairs that all differ by the same amount say nothing about noise: then there is no interval
    (nan), and p is `p_exact`. With one pair there is no p at all.
    """

    n: int  # pairs; seeds of the smaller group if not paired
    paired: bool  # False: no seed in common, or other random numbers; Welch's test over all values
    diff: float
    std: float  # of the paired differences; not paired: as if the groups were pairs; nan for n = 1
    low: float  # 95 % t interval; nan for n = 1
    high: float
    boot_low: float  # 95 % bootstrap interval (percentile); nan for n < 3
    boot_high: float
    p: float  # two-sided t test; nan for n = 1
    p_exact: float  # all flips of signs, at least 2/2^n; not paired: all ways to split; nan for n = 1
    detectable: float  # the smallest true difference found with 80 % power at this n and std, two-sided 5 %
    needed: int | None  # pairs that find a true difference as large as the observed; None: over 1000, or not known
    identical: bool = False  # every pair is equal: the same training, or a switch that does nothing


def compare(arm: Mapping[int, float], base: Mapping[int, float], alike: bool = True) -> Comparison | None:
    """Compare two arms by their values (seed -> value). Seeds that only one of them has are left out, unless all are.

    Args:
        arm: The arm's values.
        base: Its baseline's.
        alike: Whether trials of one seed have the same random numbers on both sides; if not, no two of them are a pair.

    Returns:
        None if one of them has no values.

    Raises:
        ValueError: A value is not finite.
    """
    for values in (arm, base):
        if not all(map(math.isfinite, values.values())):
            raise ValueError(f"not all values are finite numbers: {dict(values)}")
    if not arm or not base:
        return None
    common = sorted(arm.keys() & base.keys())
    if common and alike:
        return _paired(_array(arm, common), _array(base, common))
    return _welch(_array(arm, sorted(arm)), _array(base, sorted(base)))


def _array(values: Mapping[int, float], seeds: list[int]) -> Array:
    return np.array([values[seed] for seed in seeds], dtype=float)


def _paired(arm: Array, base: Array) -> Comparison:
    differences = arm - base
    n, diff, identical = len(differences), float(differences.mean()), bool((arm == base).all())
    if n == 1:
        return _unknown(1, True, diff, math.nan, math.nan, identical)
    exact = sign_flips(differences)
    if np.ptp(differences) <= _ROUNDING * max(np.abs(arm).max(), np.abs(base).max()):
        return _unknown(n, True, diff, 0.0, exact, identical)
    std = float(differences.std(ddof=1))
    boot = interval(differences) if n >= _RESAMPLED else (math.nan, math.nan)
    return _known(n, True, diff, std, std / math.sqrt(n), n - 1, boot, exact)


def _welch(arm: Array, base: Array) -> Comparison:
    n, diff = min(len(arm), len(base)), float(arm.mean() - base.mean())
    if n == 1:
        return _unknown(1, False, diff, math.nan, math.nan, False)
    exact = permutations(arm, base)
    if max(np.ptp(arm), np.ptp(base)) <= _ROUNDING * max(np.abs(arm).max(), np.abs(base).max()):
        return _unknown(n, False, diff, 0.0, exact, False)
    a, b = float(arm.var(ddof=1)), float(base.var(ddof=1))
    u, v = a / len(arm), b / len(base)
    df = (u + v) ** 2 / (u**2 / (len(arm) - 1) + v**2 / (len(base) - 1))  # Welch 1947
    boot = interval(arm, base) if n >= _RESAMPLED else (math.nan, math.nan)
    return _known(n, False, diff, math.sqrt(a + b), math.sqrt(u + v), df, boot, exact)


def _known(
    n: int, paired: bool, diff: float, std: float, error: float, df: float, boot: tuple[float, float], exact: float
) -> Comparison:
    low, high = student.interval(diff, error, df)
    return Comparison(
        n=n,
        paired=paired,
        diff=diff,
        std=std,
        low=float(low),
        high=float(high),
        boot_low=boot[0],
        boot_high=boot[1],
        p=float(student.p_value(diff, error, df)),
        p_exact=exact,
        detectable=detectable(error, df),
        needed=needed(diff, std) if diff else None,
    )


def _unknown(n: int, paired: bool, diff: float, std: float, p: float, identical: bool) -> Comparison:
    """Nothing is known of the noise."""
    nan = math.nan
    return Comparison(n, paired, diff, std, nan, nan, nan, nan, p, p, nan, None, identical)
