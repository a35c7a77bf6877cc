"""Checks of numbers that several factories take: counts, lists with one number a stage, divisors."""

from __future__ import annotations

from collections.abc import Sequence


def at_least(low: int, **arguments: float) -> None:
    """Refuse numbers below `low`.

    Raises:
        ValueError: one is; names it.
    """
    for name, value in arguments.items():
        if value < low:
            raise ValueError(f"{name}: {value} is less than {low}")


def per_stage(argument: str, values: Sequence[int], count: int, what: str = "stages") -> list[int]:
    """A list with one whole number above zero for each stage.

    Raises:
        ValueError: it is none.
    """
    listed = list(values) if isinstance(values, list | tuple) else []
    whole = [v for v in listed if isinstance(v, int) and not isinstance(v, bool) and v > 0]
    if len(whole) != count or len(listed) != count:
        raise ValueError(f"{argument}: {values!r} is not a list of {count} whole numbers above 0, for the {what}")
    return whole


def hidden(dim: int, mlp: float) -> int:
    """Width of an MLP that is `mlp` times as wide as its input, `dim`.

    Raises:
        ValueError: nothing is left.
    """
    if int(dim * mlp) < 1:
        raise ValueError(f"mlp: {mlp} leaves no unit in an MLP on {dim} numbers; 4 is usual")
    return int(dim * mlp)


def divides(argument: str, value: int, whole: int, what: str) -> None:
    """Refuse what does not divide a number.

    Raises:
        ValueError: names the nearest that do.
    """
    if value < 1 or whole % value:
        valid = [d for d in range(1, whole + 1) if whole % d == 0]
        raise ValueError(f"{argument}: {value} does not divide {what}, {whole}; {nearest(value, valid)}")


def nearest(value: int, valid: Sequence[int]) -> str:
    """A phrase that names the valid numbers next below and above a wrong one."""
    below, above = [v for v in valid if v < value], [v for v in valid if v > value]
    close = [*([max(below)] if below else []), *([min(above)] if above else [])]
    return f"nearest are {' and '.join(map(str, close))}" if len(close) > 1 else f"nearest is {close[0]}"
