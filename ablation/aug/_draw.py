"""What the augmentations with a strength per image share."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from ablation.key import Key

_MOST = 1000  # of anything that is counted: more is a slip, of which the table or the step would never end


def between(key: Key, span: Sequence[float], n: int) -> Tensor:
    """Uniform in [low, high), (n,) float32."""
    low, high = span
    return low + (high - low) * key.uniform(n)


def check_span(name: str, span: Sequence[float], least: float = 0.0) -> None:
    """Refuse what is not [low, high] with least <= low <= high.

    Raises:
        ValueError: says what it has to be.
    """
    if len(span) != 2 or not least <= span[0] <= span[1] < math.inf:
        raise ValueError(f"{name}: {span} is not [low, high] with {least:g} <= low <= high")


def whole(name: str, value: float, least: int, why: str, most: int = _MOST) -> int:
    """A count, which a configuration may spell 2.0.

    Raises:
        ValueError: no whole number from `least` to `most`; ends with `why`, the way out.
    """
    if isinstance(value, bool) or not least <= value <= most or value != int(value):
        raise ValueError(f"{name}: {value} is not a whole number from {least} to {most}; {why}")
    return int(value)


def check_probability(name: str, p: float) -> None:
    """Refuse what is no probability.

    Raises:
        ValueError: says so.
    """
    if not 0 <= p <= 1:
        raise ValueError(f"{name}: {p} is not in [0, 1]")
