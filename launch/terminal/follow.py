"""A sweep that others run, shown until it is over: its files are read again and again.

What has changed in them becomes the events that a pool of workers would have sent, so that the same views show both.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace

from rich.console import Console

from launch.compose.arm import Work
from launch.status.outcome import Event, Outcome
from launch.status.sweep_status import Trial, narrow_submission, outcome_of
from launch.status.trial_status import TrialStatus
from launch.sweep.submission import Submission
from launch.terminal.live_table import ProgressView, choose_view, describe_outcome
from launch.terminal.sweep_progress import Progress

HINT = "Ctrl-C: leave"
_TICK = 0.25  # seconds between two drawings
_POLL_SECONDS = 2.0  # between two readings of all files, or
_POLL_FACTOR = 10  # so many times as long as a reading takes
_PENDING, _FINAL = {"running", "queued"}, {"done", "cancelled"}
_UNDECIDED = "undecided"  # failed, and a round is to decide whether it is tried again


class OncePrinter:
    """Prints each line once, however often it is told."""

    def __init__(self, print_line: Callable[[str], object]) -> None:
        self._print_line, self._printed = print_line, set[str]()

    def __call__(self, text: str) -> None:
        """Print a line, if it is a new one."""
        if text not in self._printed:
            self._printed.add(text)
            self._print_line(text)


def follow(
    poll: Callable[[], Sequence[Trial]], over: Callable[[], bool], submission: Submission, console: Console
) -> None:
    """Show trials until none runs or is queued any more.

    `poll` reads how they stand, `over` is whether nobody is to decide any more on those that have failed; `submission`
    is one that asked for some of them.
    """
    trials = poll()
    progress = Progress(narrow_submission(submission, trials), 1, HINT)
    with closing(choose_view(progress, console)) as view:
        before = _show_done(view, trials)
        while True:
            began = time.monotonic()
            kinds = {t.state.kind for t in trials}
            ends = not kinds & _PENDING and (over() or kinds <= _FINAL)
            now = {t.label: t.state if ends else _undecided(t, over) for t in trials}
            progress.slots = max(1, sum(t.state.kind == "running" for t in trials))
            for event in (e for t in trials for e in _events(before.get(t.label), now[t.label], t)):
                progress.update(event)
                view.update(event)
            before = now
            if ends:
                return
            _wait_for_next_poll(view, began)
            trials = poll()


def _show_done(view: ProgressView, trials: Sequence[Trial]) -> dict[str, TrialStatus]:
    """One line for all that are done already; returns how these stand, by label."""
    done = [t for t in trials if t.state.kind == "done"]
    works = {Work(t.planned.arm.id, (t.seed,)): {t.seed: Outcome("done", test_acc=t.state.test_acc)} for t in done}
    event = {"event": "found", "works": works}
    view.progress.update(event)
    view.update(event)
    return {t.label: t.state for t in done}


def _wait_for_next_poll(view: ProgressView, began: float) -> None:
    """`began` is when the last one did (monotonic)."""
    due = time.monotonic() + max(_POLL_SECONDS, _POLL_FACTOR * (time.monotonic() - began))
    while time.monotonic() < due:
        view.tick()
        time.sleep(_TICK)


def _undecided(t: Trial, over: Callable[[], bool]) -> TrialStatus:
    """Its state, in which a failure is not the end before it was decided not to try again."""
    open_ = t.state.kind == "failed" and not t.given_up and not over()
    return replace(t.state, kind=_UNDECIDED) if open_ else t.state


def _events(before: TrialStatus | None, now: TrialStatus, t: Trial) -> Iterator[Event]:
    """What has happened to a trial since the last poll, if there was one."""
    work = Work(t.planned.arm.id, (t.seed,))
    was = before or TrialStatus("queued")
    if now.kind == "running" and (was.kind != "running" or now.attempts > was.attempts):
        epochs, text = t.planned.config["epochs"], f"running at epoch {now.epoch}, {now.owner}"
        yield {"event": "begin", "work": work, "start": now.epoch, "steps": epochs, "epochs": epochs, "device": "",
               "text": text}  # fmt: skip
    elif now.kind == "running" and now.epoch > was.epoch:
        metrics = {} if now.test_acc is None else {"test_acc": now.test_acc}
        yield {"event": "epoch", "work": work, "seed": t.seed, "epoch": now.epoch, "metrics": metrics}
    elif now.kind == "queued" and was.kind == "running":
        yield {"event": "again", "work": work, "text": f"waits to be tried again{f' ({now.cause})' * bool(now.cause)}"}
    elif now.kind == _UNDECIDED:
        if now != was:
            text = describe_outcome(Outcome("failed", now.cause, now.message))
            yield {"event": "again", "work": work, "text": f"{text}; whether it is tried again is decided next"}
    elif now.kind not in _PENDING and now.kind != was.kind:
        yield {"event": "end", "work": work, "outcomes": {t.seed: outcome_of(t._replace(state=now))}}
