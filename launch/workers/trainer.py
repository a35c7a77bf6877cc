"""What a worker does with a work: train it, and tell the driver how it goes.

Events: `ready`; `begin` (start, steps, epochs, device), `epoch` (seed, epoch, metrics), `note` (text) and, last for
each work, `end` (outcomes by seed; `leaving`: this process ends now, since its device may have been left unusable).
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ablation.errors import AblationError, Blocked, Cancelled, Stopped
from ablation.store.attempt import Busy, Fenced, seed_folder
from ablation.store.cause import cause
from ablation.store.result import Result, look
from ablation.trial.observer import Leg, Watch
from ablation.trial.program import program_of
from launch.checks.probe import probe
from launch.compose.arm import Work
from launch.status.outcome import Event, Outcome, Outcomes, decode_work, done_outcome
from launch.sweep import provenance
from launch.sweep import submission as sweep
from launch.workers.process import OFFLINE

_STATES: Mapping[type[AblationError], str] = {Cancelled: "cancelled", Blocked: "blocked", Busy: "busy", Fenced: "busy"}


class Trainer:
    """Trains works of one submission; `say` tells the driver, `stop` is whether to save and stop."""

    def __init__(self, submission: Path, memory_share: float, say: Callable[[Event], None], stop: Callable[[], bool]):
        self._submission, self._say, self._stop = sweep.load(submission), say, stop
        for planned in self._submission.arms.values():
            program_of(planned.config)  # imported before it is ready: a program that cannot be is no fault of a trial
        if memory_share < 1:
            from ablation.machine import gpus  # and with it torch

            gpus.limit_memory(memory_share)
        say({"event": "ready"})

    def train(self, pair: Any, supersede: Collection[str], probing: bool) -> bool:
        """Train one work, given as `[id, [seeds]]`, or only try a few steps of it; whether this process can go on."""
        asked = decode_work(pair)
        print(f"--- {asked.label}", file=sys.stderr, flush=True)
        broken = False
        try:
            outcomes = self._probe(asked) if probing else self._run(asked, supersede)
        except BaseException as e:  # whatever a trick does, SystemExit included, fails its own trial only
            outcomes, broken = self._of_exception(asked, e), not isinstance(e, AblationError | Stopped)
        leaving = (broken and _on_gpu()) or self._stop()
        self._say({"event": "end", "work": asked, "outcomes": outcomes, "leaving": leaving})
        return not leaving

    def _run(self, asked: Work, supersede: Collection[str]) -> Outcomes:
        planned, folder = self._submission.arms[asked.id], self._submission.out / asked.id
        planned.arm.write(folder, planned.config)
        provenance.write(folder, asked.seeds, self._submission.folder)
        config = {**planned.config, "seeds": list(asked.seeds), **({"track": {}} if OFFLINE in os.environ else {})}
        outcomes = program_of(config).run(config, folder, Reporter(asked, self._say), self._stop, supersede)
        return {seed: _of(o) for seed, o in outcomes.items()}

    def _probe(self, asked: Work) -> Outcomes:
        """A few steps of its first seed, of which nothing is kept."""
        planned = self._submission.arms[asked.id]
        found = probe(replace(planned, config={**planned.config, "seeds": [asked.seeds[0]]}), self._stop)
        return {asked.seeds[0]: _of(found) if isinstance(found, AblationError) else Outcome("done")}

    def _of_exception(self, asked: Work, e: BaseException) -> Outcomes:
        """One exception ends all seeds of a work, but for those that had a result before."""
        if isinstance(e, Stopped):
            ended = Outcome("stopped", message=str(e))
        elif isinstance(e, AblationError):
            ended = _of(e)
        else:
            traceback.print_exc()
            ended = Outcome("failed", cause(e), f"{type(e).__name__}: {' '.join(str(e).split())}")
        results = {seed: look(seed_folder(self._submission.out / asked.id, seed)) for seed in asked.seeds}
        return {seed: ended if result is None else _of(result) for seed, result in results.items()}


class Reporter(Watch):
    """Tells the driver of one work."""

    def __init__(self, asked: Work, say: Callable[[Event], None]) -> None:
        self._work, self._say = asked, say

    def note(self, text: str) -> None:
        """Pass on."""
        self._say({"event": "note", "work": self._work, "text": text})

    def begin(self, leg: Leg) -> None:
        """Pass on."""
        facts = {"start": leg.start, "steps": leg.steps, "epochs": leg.epochs, "device": leg.device}
        self._say({"event": "begin", "work": self._work, **facts})

    def tick(self) -> None:
        """Nothing: the driver hears by the epoch."""

    def epoch(self, seed: int, epoch: int, metrics: Mapping[str, float]) -> None:
        """Pass on."""
        self._say({"event": "epoch", "work": self._work, "seed": seed, "epoch": epoch, "metrics": dict(metrics)})

    def end(self, seed: int, result: Mapping[str, Any]) -> None:
        """Nothing: the end of the work says it."""


def _on_gpu() -> bool:
    """Whether this process has a GPU, which what a trick did may have left unusable."""
    from ablation.machine import gpus  # and with it torch

    return gpus.usable()


def _of(outcome: Result | AblationError) -> Outcome:
    if not isinstance(outcome, AblationError):
        return done_outcome(outcome)
    state = next((s for kind, s in _STATES.items() if isinstance(outcome, kind)), "failed")
    return Outcome(state, cause(outcome) if state == "failed" else "", str(outcome))
