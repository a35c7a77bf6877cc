"""The rounds that submissions need while somebody looks on: what ended is judged, what is to be tried is submitted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path

from ablation.errors import AblationError
from launch.slurm.round import perform

PAUSE = 15.0  # seconds between two rounds, since SLURM is asked gently, or
_REST = 10  # so many times as long as a round takes


class Rounds:
    """Of these submissions; `tell` is told what happens, once."""

    def __init__(self, folders: Iterable[Path], tell: Callable[[str], None]) -> None:
        self._open, self._tell = list(folders), tell
        self._due, self._told = 0.0, set[str]()

    def over(self) -> bool:
        """Whether nothing is left to judge."""
        return not self._open

    def make(self) -> None:
        """Make one if it is due. SLURM that cannot be asked is asked again at the next."""
        began = time.monotonic()
        if not self._open or began < self._due:
            return
        for folder in list(self._open):
            try:
                report = perform(folder)
            except AblationError as e:
                self._say(f"warning: {e}")
                continue
            for label, cause in report.retried.items():
                self._say(f"{label}: {cause}, is tried again")
            if report.over:
                self._open.remove(folder)
        now = time.monotonic()
        self._due = now + max(PAUSE, _REST * (now - began))

    def _say(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self._tell(text)
