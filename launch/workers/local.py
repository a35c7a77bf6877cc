"""`hydra/launcher=local`: a sweep on this machine, in worker processes that import once, one a GPU or several on a CPU.

`ablation retry` resumes a part of such a sweep by the same way.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from typing import Any

from rich.console import Console

from ablation.store.atomic import write_atomic
from launch.checks import canary, no_effect
from launch.compose import warnings
from launch.compose.arm import Planned, Work
from launch.status import retry_policy
from launch.status.outcome import Event, Outcome, TrialKey
from launch.sweep import edited_code, provenance, upload
from launch.sweep import submission as sweep
from launch.sweep.submission import Submission
from launch.terminal import live_table, summary
from launch.terminal.sweep_progress import Progress
from launch.workers import devices
from launch.workers.driver import DRIVER, driver_record
from launch.workers.pool import Pool
from launch.workers.process import Slot

_TOUCH_SECONDS = 10.0  # between two touches of the driver file
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run(planned: Sequence[Planned], options: Mapping[str, Any], command: str) -> dict[TrialKey, Outcome]:
    """Freeze the sweep, train what is not done, and print how it went; `options` is the node `hydra.launcher`.

    Raises:
        ConfigError: an impossible option.
        AblationError: workers cannot be started.
    """
    retry, slots, canary_first = (
        retry_policy.read(options["retry"]),
        devices.choose_slots(options, planned),
        canary.is_requested(options),
    )
    found = no_effect.check(planned, no_effect.read(options))
    made = sweep.create(planned, options, command)
    edit_notes = edited_code.notes(planned)
    outcomes = _drive(made, retry, slots, Console(highlight=False), canary_first, found, edit_notes)
    upload.upload_news(made.out, made.news)  # last: of a thousand trials that were done before it takes minutes
    return outcomes


def resume(submission: Submission, part: Submission, console: Console) -> dict[TrialKey, Outcome]:
    """Train a part of an earlier submission, with that one's configuration, code and number of threads.

    Raises:
        AblationError: workers cannot be started.
    """
    options, planned = submission.launcher, list(submission.arms.values())
    return _drive(part, retry_policy.read(options["retry"]), devices.choose_slots(options, planned), console)


def _drive(
    submission: Submission,
    retry: retry_policy.Policy,
    slots: Sequence[Slot],
    console: Console,
    canary_first: bool = False,
    found: no_effect.CheckResult = no_effect.NOT_CHECKED,
    edit_notes: Sequence[str] = (),
) -> dict[TrialKey, Outcome]:
    progress, signals = Progress(submission, len(slots)), SignalHandler()
    with closing(live_table.choose_view(progress, console)) as view, _driver_file(submission) as touch, signals:
        arms = list(submission.arms.values())
        notes = [*devices.notes(slots), *warnings.sweep_notes(arms), *edit_notes, *found.notes, *provenance.notes()]
        for note in notes:
            view.print_line(f"note: {note}")

        def show(event: Event) -> None:
            progress.update(event)
            view.update(event)

        def tick() -> None:
            touch()
            view.tick()

        def probe(works: list[Work]) -> dict[TrialKey, Outcome]:
            view.print_line(f"canary: a few steps of {len(works)} trials, one of every shape")
            return signals.run(
                Pool(submission, slots, view.update_probe, retry_policy.read({}), touch, probe=True), works
            )

        held = canary.failed_outcomes(submission, probe) if canary_first else {}
        for work, ends in held.items():
            show({"event": "end", "work": work, "outcomes": ends})
        if held:
            outcomes = {(work.id, seed): outcome for work, ends in held.items() for seed, outcome in ends.items()}
        else:
            outcomes = signals.run(Pool(submission, slots, show, retry, tick), submission.works)
    summary.show(submission, progress, console, [*found.dead, *edit_notes])
    return outcomes


@contextmanager
def _driver_file(submission: Submission) -> Iterator[Callable[[], None]]:
    """Keep the file that names this process as the sweep's driver; what is given is to be called again and again."""
    path = submission.folder / DRIVER
    write_atomic(path, json.dumps(driver_record(submission)).encode())
    touched = time.monotonic()

    def touch() -> None:
        nonlocal touched
        if time.monotonic() - touched > _TOUCH_SECONDS:
            touched = time.monotonic()
            with suppress(OSError):  # a disk that takes nothing more must not end those who only read
                os.utime(path)

    try:
        yield touch
    finally:
        with suppress(OSError):
            path.unlink(missing_ok=True)


class SignalHandler:
    """The first Ctrl-C, SIGTERM or SIGHUP lets the workers save and stop; a second ends them at once.

    A pool that is run after the first begins nothing. What is ignored already stays so, as SIGHUP under nohup.
    """

    def __init__(self) -> None:
        self._stop_requested = False
        self._pool: Pool | None = None
        self._before: dict[signal.Signals, Any] = {}

    def run(self, pool: Pool, works: Sequence[Work]) -> dict[TrialKey, Outcome]:
        """Run a pool that the signals stop."""
        self._pool = pool
        if self._stop_requested:
            pool.stop()
        return pool.run(works)

    def __enter__(self) -> None:
        handled = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
        self._before = {number: signal.signal(number, self._on_signal) for number in handled}

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _on_signal(self, _: int, __: object) -> None:
        if self._pool is not None:
            self._pool.kill() if self._stop_requested else self._pool.stop()
        self._stop_requested = True
