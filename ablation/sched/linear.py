"""Linear decay."""

from __future__ import annotations

from ablation.sched.poly import poly
from ablation.types import Schedule


def linear(
    epochs: int,
    lr: float,
    eta: float = 0.0,
    warmup: float = 0.0,
    warmup_kind: str = "linear",
    warmup_start: float = 0.0,
    warmup_per: str = "iteration",
) -> dict[str, Schedule]:
    """A straight line from lr to eta over what the warm-up leaves: lr(e) = lr + (eta - lr) (e - W)/(T - W).

    e in epochs, W the warm-up, T epochs. The budget-aware schedule of Li et al. 2019 (1905.04753).

    Raises:
        ValueError: an argument is out of range.
    """
    return poly(epochs, lr, 1.0, eta, warmup, warmup_kind, warmup_start, warmup_per)
