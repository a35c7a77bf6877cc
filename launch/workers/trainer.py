"""What a worker does with a work: train it, and send the driver events of how it goes.

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
from ablation.store.file_errors import in_words
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
    """Trains works of one submission; `send` sends the driver an event, `stop` is whether to save and stop."""

    def __init__(self, submission: Path, memory_share: float, send: Callable[[Event], None], stop: Callable[[], bool]):
        self._submission, self._send, self._stop = sweep.load(submission), send, stop
        for planned in self._submission.arms.values():
            program_of(planned.config)  # imported before it is ready: a program that cannot be is no fault of a trial
        if memory_share < 1:
            from ablation.machine import gpus  # and with it torch

            gpus.limit_memory(memory_share)
        send({"event": "ready"})

    def train(self, pair: Any, supersede: Collection[str], probing: bool) -> bool:
        """Train one work, given as `[id, [seeds]]`, or only try a few steps of it; whether this process can go on."""
        requested = decode_work(pair)
        print(f"--- {requested.label}", file=sys.stderr, flush=True)
        broken = False
        try:
            outcomes = self._probe(requested) if probing else self._run(requested, supersede)
        except BaseException as e:  # whatever a trick does, SystemExit included, fails its own trial only
            outcomes, broken = self._of_exception(requested, e), not isinstance(e, AblationError | Stopped)
        leaving = (broken and _on_gpu()) or self._stop()
        self._send({"event": "end", "work": requested, "outcomes": outcomes, "leaving": leaving})
        return not leaving

    def _run(self, requested: Work, supersede: Collection[str]) -> Outcomes:
        planned, folder = self._submission.arms[requested.id], self._submission.out / requested.id
        planned.arm.write(folder, planned.config)
        provenance.write(folder, requested.seeds, self._submission.folder)
        config = {**planned.config, "seeds": list(requested.seeds), **({"track": {}} if OFFLINE in os.environ else {})}
        outcomes = program_of(config).run(config, folder, Reporter(requested, self._send), self._stop, supersede)
        return {seed: _outcome(o) for seed, o in outcomes.items()}

    def _probe(self, requested: Work) -> Outcomes:
        """A few steps of its first seed, of which nothing is kept."""
        planned = self._submission.arms[requested.id]
        found = probe(replace(planned, config={**planned.config, "seeds": [requested.seeds[0]]}), self._stop)
        return {requested.seeds[0]: _outcome(found) if isinstance(found, AblationError) else Outcome("done")}

    def _of_exception(self, requested: Work, e: BaseException) -> Outcomes:
        """One exception ends all seeds of a work, but for those that had a result before."""
        if isinstance(e, Stopped):
            ended = Outcome("stopped", message=str(e))
        elif isinstance(e, AblationError):
            ended = _outcome(e)
        elif cause(e) == "disk":
            print(in_words(e), file=sys.stderr)
            ended = Outcome("failed", "disk", in_words(e))
        else:
            traceback.print_exc()
            ended = Outcome("failed", cause(e), f"{type(e).__name__}: {' '.join(in_words(e).split())}")
        results = {seed: look(seed_folder(self._submission.out / requested.id, seed)) for seed in requested.seeds}
        return {seed: ended if result is None else _outcome(result) for seed, result in results.items()}


class Reporter(Watch):
    """Sends the driver the events of one work."""

    def __init__(self, requested: Work, send: Callable[[Event], None]) -> None:
        self._work, self._send = requested, send

    def note(self, text: str) -> None:
        """Pass on."""
        self._send({"event": "note", "work": self._work, "text": text})

    def begin(self, leg: Leg) -> None:
        """Pass on."""
        facts = {"start": leg.start, "steps": leg.steps, "epochs": leg.epochs, "device": leg.device}
        self._send({"event": "begin", "work": self._work, **facts})

    def tick(self) -> None:
        """Nothing: the driver hears by the epoch."""

    def epoch(self, seed: int, epoch: int, metrics: Mapping[str, float]) -> None:
        """Pass on."""
        self._send({"event": "epoch", "work": self._work, "seed": seed, "epoch": epoch, "metrics": dict(metrics)})

    def end(self, seed: int, result: Mapping[str, Any]) -> None:
        """Nothing: the end of the work says it."""


def _on_gpu() -> bool:
    """Whether this process has a GPU, which what a trick did may have left unusable."""
    from ablation.machine import gpus  # and with it torch

    return gpus.usable()


def _outcome(outcome: Result | AblationError) -> Outcome:
    if not isinstance(outcome, AblationError):
        return done_outcome(outcome)
    state = next((s for kind, s in _STATES.items() if isinstance(outcome, kind)), "failed")
    return Outcome(state, cause(outcome) if state == "failed" else "", str(outcome))
