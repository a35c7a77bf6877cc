"""A few real steps of a configuration, timed; nothing is left behind but what loading the data set leaves."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from ablation.errors import AblationError, Stopped
from ablation.trial.observer import Leg, Watch
from ablation.trial.program import program_of
from launch.checks.cost import Cost
from launch.compose.arm import Planned

_WARM = 2  # steps that are not counted
_STEPS = 20  # that are
_SECONDS = 10.0  # or so long, if that is less


def probe(planned: Planned, stop: Callable[[], bool] = lambda: False) -> Cost | AblationError:
    """The cost of an epoch by its steps, without its evaluation; or why it could not be found out.

    A student's teacher is taken from the `out` of its configuration.

    Raises:
        Stopped: `stop` asked for it.
        Exception: whatever a trick raises.
    """
    config = {**planned.config, "seeds": [planned.seeds[0]], "track": {}, "fuse": False}
    timer = _Timer()
    with tempfile.TemporaryDirectory() as scratch:
        if teacher := config["teacher"]:
            (Path(scratch) / teacher).symlink_to((Path(config["out"]) / teacher).resolve())
        try:
            folder = Path(scratch) / planned.arm.id
            outcomes = program_of(config).run(config, folder, timer, lambda: timer.enough() or stop())
        except Stopped:
            if not timer.enough():
                raise
        except AblationError as e:
            return e
        else:
            failures = [o for o in outcomes.values() if isinstance(o, AblationError)]
            if failures:
                return failures[0]
    return timer.cost()


class _Timer(Watch):
    """Notes when each step was done, and stops after some."""

    def __init__(self) -> None:
        self._times: list[float] = []
        self._leg: Leg | None = None

    def begin(self, leg: Leg) -> None:
        """Keep what is trained, and where."""
        self._leg = leg

    def tick(self) -> None:
        """A step was sent to the device: wait for it, and note the time."""
        if self._leg is not None and self._leg.device.startswith("cuda"):
            from ablation.machine import gpus  # and with it torch, which has long been imported

            gpus.wait()
        self._times.append(time.perf_counter())

    def enough(self) -> bool:
        """Whether it may stop."""
        counted = self._times[_WARM:]
        return len(counted) > _STEPS or (len(counted) > 1 and counted[-1] - counted[0] > _SECONDS)

    def cost(self) -> Cost | AblationError:
        """By the median step."""
        counted = self._times[_WARM:] if len(self._times) > _WARM + 1 else self._times
        steps = [b - a for a, b in pairwise(counted)]
        if self._leg is None or not steps:
            return AblationError("it has too few steps to be timed")
        return Cost(statistics.median(steps) * self._leg.steps / self._leg.epochs, self._leg.device, "probe")

    def note(self, text: str) -> None:
        """Nothing: it is about a real run."""

    def epoch(self, seed: int, epoch: int, metrics: Mapping[str, float]) -> None:
        """Nothing."""

    def end(self, seed: int, result: Mapping[str, Any]) -> None:
        """Nothing."""
