"""What a trial will cost, from the epochs of earlier runs of the same shape, or from a probe."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from ablation.store import journal
from ablation.store.identity import canonical
from ablation.store.result import look
from launch.compose.arm import Config, Planned
from launch.compose.errors import plural
from launch.compose.naming import rules
from launch.sweep.earlier_arms import EarlierArms

_RUNS = 5  # the newest of one shape are read
_EVERY_VALUE = ("model", "data", "batch_size")  # of these every value counts; elsewhere numbers cost nothing
_FREE = ("sched", "epochs", "diverged", "teacher", "rounds", "data.split_seed")
_EXECUTION = ("compile", "fuse")  # how a trial is computed: no part of what it is, but of what it costs


class Cost(NamedTuple):
    """What one epoch of one seed takes, with its evaluation."""

    seconds: float
    device: str  # as people know it
    source: str  # "3 runs" or "probe"

    @property
    def kind(self) -> str:
        """GPU or CPU."""
        return "GPU" if self.device.startswith("cuda") else "CPU"


def cost_signature(config: Config) -> str:
    """What the cost of an epoch depends on: everything but seeds, schedule, length, and the numbers of tricks.

    The strength of an augmentation or a weight decay costs nothing, its presence does; of the model, the data and the
    batch every value counts.
    """
    kept = {
        key: value
        for key, value in canonical(config, rules()).items()
        if not _within(key, _FREE) and (_within(key, _EVERY_VALUE) or not _is_number(value))
    }
    how = {key: config.get(key) for key in _EXECUTION}
    return json.dumps({**kept, **how, "taught": config.get("teacher") is not None})


class Estimates:
    """Costs by shape; earlier runs are searched once for each."""

    def __init__(self, past: EarlierArms) -> None:
        self._past = past
        self._known: dict[tuple[str, str], Cost | None] = {}

    def of(self, planned: Planned) -> Cost | None:
        """Of an arm; None if nothing comparable has run."""
        key = _key(planned)
        if key not in self._known:
            self._known[key] = self._from_runs(planned, *key)
        return self._known[key]

    def unknown(self, planned: Iterable[Planned]) -> list[Planned]:
        """One arm of every shape of which nothing is known."""
        return list({_key(p): p for p in planned if self.of(p) is None}.values())

    def add(self, planned: Planned, cost: Cost) -> None:
        """What a probe of this arm's shape has found."""
        self._known[_key(planned)] = cost

    def _from_runs(self, planned: Planned, wanted: str, device: str) -> Cost | None:
        """The median over runs on the kind of device on which the newest of them ran."""
        found: list[tuple[str, float]] = []
        for folder in self._past.alike(planned):
            config = self._past.config(folder) if len(found) < _RUNS else None
            if config is not None and cost_signature(config) == wanted:
                found += _runs(folder.glob("seed-*"), device)
        if not found:
            return None
        newest = found[0][0]
        alike = [seconds for name, seconds in found if name[:3] == newest[:3]][:_RUNS]
        return Cost(statistics.median(alike), newest, plural(len(alike), "run"))


def _key(planned: Planned) -> tuple[str, str]:
    return cost_signature(planned.config), str(planned.config["device"])


def _runs(seed_folders: Iterable[Path], device: str) -> list[tuple[str, float]]:
    """(device, seconds an epoch of one seed) of the finished trials that ran on this kind of device."""
    found = []
    for folder in seed_folders:
        result = look(folder)
        if isinstance(result, dict) and device.partition(":")[0] in (
            "auto",
            result["device"].partition(":")[0].split()[0],
        ):
            lengths = _epochs(journal.events(folder))
            found += [(result["device"], statistics.median(lengths) / result["fused"])] if lengths else []
    return found


def _epochs(events: Iterable[journal.Event]) -> list[float]:
    """Seconds from each start or epoch to the epoch after it."""
    marks = [e for e in events if e["event"] in ("start", "epoch")]
    return [journal.seconds_between(a, b) for a, b in pairwise(marks) if b["event"] == "epoch"]


def _within(key: str, heads: Iterable[str]) -> bool:
    return any(key == head or key.startswith(f"{head}.") for head in heads)


def _is_number(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_is_number, value))
    return isinstance(value, int | float) and not isinstance(value, bool)
