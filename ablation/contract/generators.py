"""Which global generators a call draws from: what is drawn there is no function of the key."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

import numpy as np
import torch

PYTHON, NUMPY, TORCH = "Python's `random`", "numpy's global generator", "torch's global generator"
_SEED = 20


@contextmanager
def watched() -> Iterator[set[str]]:
    """Inside, torch's generator of the CPU is seeded; outside, all three are left as they were.

    The set, whole when the block is left, names those that were drawn from.
    """
    drawn: set[str] = set()
    python, numpy, before = random.getstate(), np.random.get_state(), torch.get_rng_state()
    torch.default_generator.manual_seed(_SEED)
    seeded = torch.get_rng_state()
    try:
        with redirect_stdout(sys.stderr):  # a trick may print, and standard output may be somebody's table
            yield drawn
    finally:
        if random.getstate() != python:
            drawn.add(PYTHON)
            random.setstate(python)
        if not _same(np.random.get_state(), numpy):
            drawn.add(NUMPY)
            np.random.set_state(numpy)
        if not torch.equal(torch.get_rng_state(), seeded):
            drawn.add(TORCH)
        torch.set_rng_state(before)


def _same(one: object, other: object) -> bool:
    """Whether two states of numpy's generator are one; tuples with an array inside."""
    assert isinstance(one, tuple)
    assert isinstance(other, tuple)
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
