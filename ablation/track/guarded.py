"""A sink that cannot harm the training it shows, whoever wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from pathlib import Path
from typing import Any

from ablation.build import build_all
from ablation.track.sink import Sink

SINK = "Sink in ablation/track/sink.py: follow(folder) -> None and close(timeout) -> list of warnings"


def sinks(config: Mapping[str, Any]) -> list[Sink]:
    """Those that a configuration names.

    Raises:
        ConfigError: one is no sink.
    """
    found: list[Sink] = []
    for name, sink in build_all(config["track"], "track").items():
        if not isinstance(sink, Sink):
            from ablation.contract.shown import a, shown  # only now: they import torch
            from ablation.contract.subject import Subject

            tried = Subject.of(config, f"track.{name}", SINK)
            raise tried.breach(f"returned {a(sink)}, not a Sink", returned=shown(sink), wanted="a subclass of Sink")
        found.append(Guarded(f"track.{name}", sink))
    return found


class Guarded(Sink):
    """Passes everything on, and keeps what is raised for the warnings; a sink that raised is told no more."""

    def __init__(self, path: str, sink: Sink) -> None:
        self._path, self._sink, self._trouble = path, sink, ""

    def follow(self, folder: Path) -> None:
        """Pass on."""
        if not self._trouble:
            try:
                self._sink.follow(folder)
            except (Exception, SystemExit) as e:
                self._trouble = self._told("follow", e)

    def close(self, timeout: float = inf) -> list[str]:
        """Pass on; the warnings."""
        trouble = [self._trouble] if self._trouble else []
        try:
            return [*trouble, *map(str, self._sink.close(timeout))]
        except (Exception, SystemExit) as e:
            return [*trouble, self._told("close", e)]

    def _told(self, method: str, e: BaseException) -> str:
        said = " ".join(str(e).split())[:300]
        return f"{self._path}: {method} raised {type(e).__name__}: {said}; the training went on without it"
