"""One seed of those that are trained together: this attempt at it, its journal and its checkpoints."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from typing import Any

from ablation.errors import AblationError, Cancelled, DataError, Diverged
from ablation.source import reader
from ablation.store import checkpoint, code, journal, result
from ablation.store.attempt import Attempt, Deleted, Fenced
from ablation.store.cause import cause
from ablation.store.file_errors import in_words
from ablation.trial import trace

_MESSAGE, _TRACE = 2000, 8000  # characters that are kept


class Lane:
    """One seed. Whatever it writes, it first makes sure that no other process was given the seed.

    Every method that writes raises Fenced if one was, and Deleted if its folder is gone.
    """

    def __init__(self, seed: int, attempt: Attempt) -> None:
        self.seed, self.attempt = seed, attempt
        self.saved: dict[int, dict[str, Any]] = {}  # checkpoints by step, until training begins
        self.journal = journal.Journal(attempt.folder / journal.JOURNAL)
        self.outcome: result.Result | AblationError | None = None  # set when it trains no longer, though others may
        self.parts: dict[str, code.Modules] = {}  # the code that it is trained by
        self.taught: code.Taught = {}  # the code that its teachers were trained by
        self.teacher = ""  # fingerprint of its teacher's weights, if it has a teacher
        self._first = True

    @property
    def modules(self) -> code.Modules:
        """All modules that it is trained by."""
        return reader.joined(self.parts)

    @property
    def events(self) -> list[journal.Event]:
        """Of all attempts."""
        return journal.events(self.attempt.seed_folder)

    @property
    def precision(self) -> str | None:
        """A trial ends in the precision in which it began, whichever machine resumes it; None if it is new."""
        return next((str(e["precision"]) for e in reversed(self.events) if e["event"] == "start"), None)

    @property
    def threads(self) -> int | None:
        """Threads with which it began on a CPU; None if it is new, or began elsewhere or before this was kept."""
        return next((e.get("threads") for e in reversed(self.events) if e["event"] == "start"), None)

    def look(self, newest: bool) -> None:
        """Load the checkpoints from which it can go on, or only the newest."""
        found = islice(checkpoint.usable(self.attempt.seed_folder), 1 if newest else None)
        self.saved = {int(c["step"]): c for c in found}

    def begin(self, step: int, device: str, precision: str, pixels: str, threads: int | None = None) -> None:
        """Journal that the attempt starts at this step, on the images with this fingerprint.

        Raises:
            DataError: it would go on with other images, or another teacher, than it began with.
        """
        self.saved = {}
        fixed = {"pixels": pixels} | ({"teacher": self.teacher} if self.teacher else {})
        last = next((e for e in reversed(self.events) if e["event"] == "start"), {}) if step else {}
        for name, now in fixed.items():
            if (began := last.get(name, now)) != now:
                what = {"pixels": "images", "teacher": "a teacher"}[name]
                raise DataError(
                    f"seed {self.seed}: {self.attempt.seed_folder} was begun on {what} with the fingerprint {began}, "
                    f"now {now}; bring the old back, or move that folder away to start anew"
                )
        self.attempt.check()
        code.keep(self.attempt.folder, step, self.modules, self.taught)
        about = {"device": device, "precision": precision} | ({"threads": threads} if threads else {})
        self.write("start", attempt=self.attempt.number, step=step, **about, **fixed)

    def write(self, event: str, **values: Any) -> None:
        """Journal an event."""
        self.attempt.check()
        self.journal.write(event, **values)

    def trace(self, first: int, fields: trace.Fields) -> None:
        """Keep the values of an epoch's steps, the first of which is `first`."""
        self.attempt.check()
        trace.write(self.attempt.folder, first, fields)

    def save(self, content: dict[str, Any]) -> None:
        """Save a checkpoint; with the first, those of earlier attempts are of no more use."""
        self.attempt.check()
        try:
            checkpoint.save(self.attempt.folder, content)
        except FileNotFoundError:  # deleted under its hands by the next attempt
            self.attempt.check()
            raise
        self.write("saved", step=content["step"])
        if self._first:
            checkpoint.discard(self.attempt.seed_folder, self.attempt.number)
            self._first = False

    def stop(self, step: int) -> None:
        """Journal that the attempt ends here, and its state is saved: asked to, or because the trial is cancelled."""
        cancelled = self.attempt.cancelled
        self.write("stopped", step=step, why="cancelled" if cancelled else "asked")
        if cancelled:
            self.end(Cancelled(f"seed {self.seed}: cancelled at step {step}; its state is saved"))

    def diverged(self, step: int) -> None:
        """Journal that the loss was not finite at this step, and where the last good checkpoint is."""
        saved = next((e["step"] for e in reversed(self.events) if e["event"] in ("saved", "start")), 0)
        where = (
            f"last good checkpoint: step {saved}, {self.attempt.folder / 'last.pt'}" if saved else "no checkpoint yet"
        )
        way = "Lower optim.lr, add warm-up (sched.warmup) or regularizer=clip"
        if step == 0:
            way = (
                "No weight had been changed yet: look at the model's first weights (init), its precision, and the loss"
            )
        error = Diverged(
            f"seed {self.seed}: the loss was not finite at step {step} ({where}). {way}; "
            "with diverged=continue it is trained anew and to the end regardless"
        )
        self._failed(error, step=step)
        self.end(error)

    def broken(self, e: BaseException) -> None:
        """Journal that an error ended the attempt; on a full disk even that may be impossible."""
        if self.outcome is None:
            # Of what the disk refuses, its path says more than the lines of the code.
            trace = "" if cause(e) == "disk" else "".join(traceback.format_exception(e))[-_TRACE:]
            with suppress(OSError, Fenced, Deleted):
                self._failed(e, trace=trace)

    def done(self, facts: Mapping[str, Any]) -> result.Result:
        """Journal the result and write it, the last of all."""
        ran = code.digests(self.attempt.seed_folder, self.parts)
        outcome = result.conclude(self.attempt, self.seed, {**facts, "code": ran})
        self.write("done", result=outcome)
        result.write(self.attempt, outcome)
        self.end(outcome)
        return outcome

    def end(self, outcome: result.Result | AblationError) -> None:
        """It trains no longer."""
        self.outcome = outcome
        self.attempt.release()

    def _failed(self, e: BaseException, **values: Any) -> None:
        self.write("failed", cause=cause(e), message=in_words(e)[:_MESSAGE] or type(e).__name__, **values)


@contextmanager
def blaming(lanes: Sequence[Lane]) -> Iterator[None]:
    """An error in here is journaled as what ended these lanes' attempts; so is a trick's `sys.exit`."""
    try:
        yield
    except (KeyboardInterrupt, GeneratorExit):  # Stopped is one: not an error
        raise
    except BaseException as e:
        for lane in lanes:
            lane.broken(e)
        raise
