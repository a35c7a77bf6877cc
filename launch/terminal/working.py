"""Says what takes seconds before there is anything to show."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console


@contextmanager
def working(text: str) -> Iterator[None]:
    """Meanwhile a terminal shows this line, and then no more; nothing is written where there is none."""
    console = Console(stderr=True)
    if not (console.is_terminal and sys.stderr.isatty()):  # the first alone is also so with FORCE_COLOR
        yield
        return
    with console.status(text):
        yield
