"""A trick for tests that does as a file says at each step: wait some seconds, or fail. Without the file: nothing.

The configuration, and so the trial, is the same with and without the file.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from ablation.key import Key
from ablation.types import Batch


def brake(path: str) -> Callable[[Batch, Key], Batch]:
    """`path` holds a number of seconds, `error` or `oom`."""

    def apply(batch: Batch, key: Key) -> Batch:
        file = Path(path)
        word = file.read_text().strip() if file.exists() else "0"
        if word == "error":
            raise RuntimeError("the trick is broken")
        if word == "oom":
            raise MemoryError("no memory is left")
        time.sleep(float(word or 0))
        return batch

    return apply
