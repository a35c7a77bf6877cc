"""A sweep on this machine: worker processes that import once, one a GPU or several on the CPU."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any

from rich.console import Console

from ablation.store.atomic import write_atomic
from launch.checks import canary, no_effect
from launch.compose import warnings
from launch.compose.arm import Planned, Work
from launch.status import retry_policy
from launch.status.outcome import Event, Outcome, TrialKey
from launch.sweep import edits, provenance, upload
from launch.sweep import submission as sweep
from launch.sweep.submission import Submission
from launch.terminal import live_table, summary
from launch.terminal.progress import Progress
from launch.workers import devices
from launch.workers.driver import DRIVER, driving
from launch.workers.pool import Pool
from launch.workers.process import Slot

_BEAT = 10.0  # seconds between two touches
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run(planned: Sequence[Planned], options: Mapping[str, Any], command: str) -> dict[TrialKey, Outcome]:
    """Freeze the sweep, train what is not done, and print how it went; `options` is the node `hydra.launcher`.

    Raises:
        ConfigError: an impossible option.
        AblationError: workers cannot be started.
    """
    retry, places, cautious = (
        retry_policy.read(options["retry"]),
        devices.choose(options, planned),
        canary.asked(options),
    )
    found = no_effect.check(planned, no_effect.read(options))
    made = sweep.create(planned, options, command)
    others = edits.notes(planned)
    outcomes = _drive(made, retry, places, Console(highlight=False), cautious, found, others)
    upload.upload_news(made.out, made.news)  # last: of a thousand trials that were done before it takes minutes
    return outcomes


def resume(submission: Submission, part: Submission, console: Console) -> dict[TrialKey, Outcome]:
    """Train a part of an earlier submission, with that one's configuration, code and number of threads.

    Raises:
        AblationError: workers cannot be started.
    """
    options, planned = submission.launcher, list(submission.arms.values())
    return _drive(part, retry_policy.read(options["retry"]), devices.choose(options, planned), console)


def _drive(
    submission: Submission,
    retry: retry_policy.Policy,
    places: Sequence[Slot],
    console: Console,
    cautious: bool = False,
    found: no_effect.Found = no_effect.UNCHECKED,
    others: Sequence[str] = (),
) -> dict[TrialKey, Outcome]:
    progress, brake = Progress(submission, len(places)), SignalHandler()
    with closing(live_table.choose_view(progress, console)) as view, _driver(submission) as beat, brake:
        arms = list(submission.arms.values())
        notes = [*devices.notes(places), *warnings.of_sweep(arms), *others, *found.notes, *provenance.notes()]
        for note in notes:
            view.print_line(f"note: {note}")

        def tell(event: Event) -> None:
            progress.update(event)
            view.update(event)

        def tick() -> None:
            beat()
            view.tick()

        def probe(works: list[Work]) -> dict[TrialKey, Outcome]:
            view.print_line(f"canary: a few steps of {len(works)} trials, one of every shape")
            return brake.run(
                Pool(submission, places, view.update_probe, retry_policy.read({}), beat, probe=True), works
            )

        held = canary.failed_outcomes(submission, probe) if cautious else {}
        for work, ends in held.items():
            tell({"event": "end", "work": work, "outcomes": ends})
        if held:
            outcomes = {(work.id, seed): outcome for work, ends in held.items() for seed, outcome in ends.items()}
        else:
            outcomes = brake.run(Pool(submission, places, tell, retry, tick), submission.works)
    summary.show(submission, progress, console, [*found.dead, *others])
    return outcomes


@contextmanager
def _driver(submission: Submission) -> Iterator[Callable[[], None]]:
    """Say who runs the sweep while it does; call what is given every now and then."""
    path = submission.folder / DRIVER
    write_atomic(path, json.dumps(driving(submission)).encode())
    touched = time.monotonic()

    def beat() -> None:
        nonlocal touched
        if time.monotonic() - touched > _BEAT:
            touched = time.monotonic()
            os.utime(path)

    try:
        yield beat
    finally:
        path.unlink(missing_ok=True)


class SignalHandler:
    """The first Ctrl-C, SIGTERM or SIGHUP lets the workers save and stop; a second ends them at once.

    A pool that is run after the first begins nothing. What is ignored already stays so, as SIGHUP under nohup.
    """

    def __init__(self) -> None:
        self._asked = False
        self._pool: Pool | None = None
        self._before: dict[signal.Signals, Any] = {}

    def run(self, pool: Pool, works: Sequence[Work]) -> dict[TrialKey, Outcome]:
        """Run a pool that the signals stop."""
        self._pool = pool
        if self._asked:
            pool.stop()
        return pool.run(works)

    def __enter__(self) -> None:
        heeded = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
        self._before = {number: signal.signal(number, self._told) for number in heeded}

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _told(self, _: int, __: object) -> None:
        if self._pool is not None:
            self._pool.kill() if self._asked else self._pool.stop()
        self._asked = True
