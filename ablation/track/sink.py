"""What shows trials elsewhere while they run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from math import inf
from pathlib import Path


class Sink(ABC):
    """Follows the journals of trials. It never slows or fails a trial: what goes wrong is told by `close`."""

    @abstractmethod
    def follow(self, folder: Path) -> None:
        """Show the trial of this seed folder, whose journal is being written; returns at once."""

    @abstractmethod
    def close(self, timeout: float = inf) -> list[str]:
        """Show what is left, in at most `timeout` seconds or the sink's own limit; returns warnings for people."""
