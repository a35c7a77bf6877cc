"""Many comparisons in one table: the chance of any false claim stays at 5 %."""

from __future__ import annotations

import math
from collections.abc import Sequence

from statsmodels.stats.multitest import multipletests


def adjust(p: Sequence[float]) -> list[float]:
    """P values adjusted for there being several (Holm 1979), whether or not they depend on each other.

    Where there is none (nan) there stays none, and it is not counted.
    """
    known = [i for i, value in enumerate(p) if not math.isnan(value)]
    adjusted = [math.nan] * len(p)
    if known:
        for i, value in zip(known, multipletests([p[i] for i in known], method="holm")[1], strict=True):
            adjusted[i] = float(value)
    return adjusted
