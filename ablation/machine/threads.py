"""How many threads a trial computes with on a CPU: on their number depend the last bits of its result.

torch, which takes seconds, is imported by what sets or reads their number, and not by what only reads the environment.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from ablation.errors import ConfigError
from ablation.machine import allowance


def most() -> int:
    """Threads that this process may use: as OMP_NUM_THREADS says, or one a core."""
    said = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    if said.isdecimal() and int(said):
        return int(said)
    return allowance.cores()


def check() -> None:
    """Refuse a number of threads of which OpenMP would make what it likes.

    Raises:
        ConfigError: OMP_NUM_THREADS is set and is no number, or several joined by commas, of at least 1.
    """
    said = os.environ.get("OMP_NUM_THREADS")
    if said is not None and not all(part.strip().isdecimal() and int(part) for part in said.split(",")):
        raise ConfigError(f"OMP_NUM_THREADS={said}: give a whole number of at least 1, or `unset OMP_NUM_THREADS`")


def count() -> int:
    """Those that this process computes with."""
    import torch

    return torch.get_num_threads()


def compute_with(number: int) -> None:
    """Compute with so many from now on."""
    import torch

    torch.set_num_threads(number)


@contextmanager
def as_begun(begun: int | None) -> Iterator[int]:
    """Compute with the number of threads with which a trial began, or with as many of them as there are here.

    Yields the number; `begun` None, for a new trial, leaves it as it is. Afterwards it is what it was.
    """
    before = count()
    now = before if begun is None else min(begun, most())
    compute_with(now)
    try:
        yield now
    finally:
        compute_with(before)
