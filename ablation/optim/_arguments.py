"""Checks that optimisers share."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ablation.build import near

INFINITY = float("inf")


def positive(**values: float) -> None:
    """Refuse what is not a finite number above 0.

    Raises:
        ValueError: names the first that is not.
    """
    for name, value in values.items():
        if not 0 < value < INFINITY:
            raise ValueError(f"{name}: {value} is not a finite number above 0")


def from_zero(**values: float) -> None:
    """Refuse what is not a finite number from 0 up.

    Raises:
        ValueError: names the first that is not.
    """
    for name, value in values.items():
        if not 0 <= value < INFINITY:
            raise ValueError(f"{name}: {value} is not a finite number from 0 up")


def share(**values: float) -> None:
    """Refuse what is not in [0, 1): how much of an average is kept at each step.

    Raises:
        ValueError: names the first that is not.
    """
    for name, value in values.items():
        if not 0 <= value < 1:
            raise ValueError(f"{name}: {value} is not in [0, 1)")


def pair(betas: Sequence[float]) -> tuple[float, float]:
    """The two decay rates of Adam's averages.

    Raises:
        ValueError: not two numbers in [0, 1).
    """
    both = tuple(betas)
    if len(both) != 2 or not all(0 <= beta < 1 for beta in both):
        raise ValueError(f"betas: {list(both)} are not two numbers in [0, 1), such as [0.9, 0.999]")
    return both


def known(names: Collection[str], valid: Collection[str], argument: str) -> None:
    """Refuse a name that there is not.

    Raises:
        ValueError: names the argument, the first such name and what is near it; or the names are not a list.
    """
    if isinstance(names, str):  # else its letters would be looked up
        raise ValueError(f"{argument}: {names!r} is not a list; write [{names}]")
    for name in names:
        if name not in valid:
            raise ValueError(f"{argument}: there is no {name!r}; {near(name, valid)}")
