"""Mean and spread of one arm over its seeds."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Summary:
    """Of one metric, in its unit."""

    n: int
    mean: float
    std: float  # of the seeds, ddof = 1; nan for n = 1


def summarize(values: Iterable[float]) -> Summary:
    """Mean and standard deviation over seeds.

    Raises:
        ValueError: There are none, or one is not finite.
    """
    array = np.asarray(list(values), dtype=float)
    if not array.size or not np.isfinite(array).all():
        raise ValueError(f"no mean of {array.tolist()}: one finite number or more is needed")
    std = float(array.std(ddof=1)) if array.size > 1 else math.nan
    return Summary(int(array.size), float(array.mean()), std)
