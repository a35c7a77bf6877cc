"""A sweep on this machine: worker processes that import once, one a GPU or several on the CPU."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from ablation.atomic import write_atomic
from ablation.attempt import Owner
from launch import canary, live, policy, slots, summary, sweep
from launch.board import Board
from launch.child import Slot
from launch.flight import DRIVER
from launch.outcome import Event, Outcome, Trial
from launch.pool import Pool
from launch.sweep import Planned, Submission, Work

_BEAT = 10.0  # seconds between two touches
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run(planned: Sequence[Planned], options: Mapping[str, Any], command: str) -> dict[Trial, Outcome]:
    """Freeze the sweep, train what is not done, and print how it went; `options` is the node `hydra.launcher`.

    Raises:
        ConfigError: an impossible option.
        AblationError: workers cannot be started.
    """
    retry, places, cautious = policy.read(options["retry"]), slots.choose(options, planned), canary.asked(options)
    return _drive(sweep.create(planned, options, command), retry, places, Console(highlight=False), cautious)


def resume(submission: Submission, part: Submission, console: Console) -> dict[Trial, Outcome]:
    """Train a part of an earlier submission, with that one's configuration, code and number of threads.

    Raises:
        AblationError: workers cannot be started.
    """
    options, planned = submission.launcher, list(submission.arms.values())
    return _drive(part, policy.read(options["retry"]), slots.choose(options, planned), console)


def _drive(
    submission: Submission, retry: policy.Policy, places: Sequence[Slot], console: Console, cautious: bool = False
) -> dict[Trial, Outcome]:
    board = Board(submission, len(places))
    with closing(live.choose(board, console)) as view, _driver(submission.folder / DRIVER) as beat:
        for note in (note for p in submission.arms.values() for note in p.notes):
            view.say(f"note: {note}")

        def tell(event: Event) -> None:
            board.hear(event)
            view.hear(event)

        def tick() -> None:
            beat()
            view.tick()

        def probe(works: list[Work]) -> dict[Trial, Outcome]:
            view.say(f"canary: a few steps of {len(works)} trials, one of every shape")
            pool = Pool(submission, places, view.probed, policy.read({}), beat, probe=True)
            with _stop_on_signal(pool):
                return pool.run(works)

        held = canary.hold(submission, probe) if cautious else {}
        for work, ends in held.items():
            tell({"event": "end", "work": work, "outcomes": ends})
        if held:
            outcomes = {(work.id, seed): outcome for work, ends in held.items() for seed, outcome in ends.items()}
        else:
            pool = Pool(submission, places, tell, retry, tick)
            with _stop_on_signal(pool):
                outcomes = pool.run(submission.works)
    summary.show(submission, board, console)
    return outcomes


@contextmanager
def _driver(path: Path) -> Iterator[Callable[[], None]]:
    """Say who runs the sweep while it does; call what is given every now and then."""
    write_atomic(path, json.dumps(asdict(Owner.here())).encode())
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


@contextmanager
def _stop_on_signal(pool: Pool) -> Iterator[None]:
    """The first Ctrl-C, SIGTERM or SIGHUP lets the workers save and stop; a second ends them at once."""
    asked = False

    def ask(number: int, _: object) -> None:
        nonlocal asked
        if asked:
            pool.kill()
        asked = True
        pool.stop()

    before = {number: signal.signal(number, ask) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
