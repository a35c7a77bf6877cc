"""A sweep looked at again and again: what is new in its files is told as a pool of workers would tell it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing

from rich.console import Console

from launch.compose.arm import Work
from launch.status.outcome import NOT_STARTED, Event, Outcome
from launch.status.sweep_status import Trial, part
from launch.status.trial_status import TrialStatus
from launch.sweep.submission import Submission
from launch.terminal import live_table
from launch.terminal.live_table import ProgressView, spelt
from launch.terminal.progress import Progress

_TICK = 0.25  # seconds between two drawings
_LOOK = 2.0  # seconds between two looks, or
_REST = 10  # so many times as long as a look takes
_TALKATIVE = 4  # trials up to which every epoch is a line
_FLYING, _FINAL = {"running", "queued"}, {"done", "cancelled"}
HINT = "Ctrl-C: leave"


class ChangeLines(ProgressView):
    """A line when something changes: where there is no terminal."""

    def hear(self, event: Event) -> None:
        """Also who trains a trial, and of few trials the epochs."""
        super().hear(event)
        if event["event"] == "begin":
            self.say(f"{self.label(event['work'])}: running at epoch {event['epoch']}, {event['slot']}")
        elif event["event"] == "epoch" and self.board.trials <= _TALKATIVE:
            accuracy = event["metrics"].get("test_acc")
            scored = "" if accuracy is None else f", test {accuracy:.2f}%"
            self.say(f"{self.label(event['work'])}: epoch {event['epoch']}{scored}")

    def ended(self, work: Work, seed: int, outcome: Outcome) -> None:
        """With how many are over."""
        over = f"[{self.board.counts.total()}/{self.board.trials}]"
        self.say(f"{over} {self.board.rows[work.id].name} seed {seed}: {spelt(outcome)}")

    def tick(self) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


def follow(look: Callable[[], Sequence[Trial]], over: Callable[[], bool], like: Submission, console: Console) -> None:
    """Show trials until none is in flight any more.

    `look` tells how they stand, `over` whether nobody is to decide any more on those that have failed; `like` is a
    submission that asked for some of them.
    """
    trials = look()
    board = Progress(part(like, trials), 1, HINT)
    with closing((live_table.LiveTable if console.is_terminal else ChangeLines)(board, console)) as view:
        before = _greet(view, trials)
        while True:
            began = time.monotonic()
            board.slots = max(1, sum(t.state.kind == "running" for t in trials))
            for event in (e for t in trials for e in _news(before.get(t.label), t)):
                board.hear(event)
                view.hear(event)
            before = {t.label: t.state for t in trials}
            kinds = {t.state.kind for t in trials}
            if not kinds & _FLYING and (over() or kinds <= _FINAL):
                return
            _rest(view, began)
            trials = look()


def _greet(view: ProgressView, trials: Sequence[Trial]) -> dict[str, TrialStatus]:
    """Tell at once of all that are done already; returns how these stand, by label."""
    done = [t for t in trials if t.state.kind == "done"]
    works = {Work(t.planned.arm.id, (t.seed,)): {t.seed: Outcome("done", test_acc=t.state.test_acc)} for t in done}
    event = {"event": "found", "works": works}
    view.board.hear(event)
    view.hear(event)
    return {t.label: t.state for t in done}


def _rest(view: ProgressView, began: float) -> None:
    """Until the next look is due."""
    due = time.monotonic() + max(_LOOK, _REST * (time.monotonic() - began))
    while time.monotonic() < due:
        view.tick()
        time.sleep(_TICK)


def _news(before: TrialStatus | None, t: Trial) -> Iterator[Event]:
    """What has happened to a trial since it was looked at last, if ever."""
    now, work = t.state, Work(t.planned.arm.id, (t.seed,))
    was = before or TrialStatus("queued")
    if now.kind == "running" and (was.kind != "running" or now.attempts > was.attempts):
        epochs = t.planned.config["epochs"]
        yield {"event": "begin", "work": work, "start": now.epoch, "steps": epochs, "epochs": epochs, "device": "",
               "slot": now.owner, "epoch": now.epoch}  # fmt: skip
    elif now.kind == "running" and now.epoch > was.epoch:
        metrics = {} if now.test_acc is None else {"test_acc": now.test_acc}
        yield {"event": "epoch", "work": work, "seed": t.seed, "epoch": now.epoch, "metrics": metrics}
    elif now.kind == "queued" and was.kind == "running":
        yield {"event": "again", "work": work, "text": f"waits to be tried again ({now.cause})"}
    elif now.kind not in _FLYING and now.kind != was.kind:
        kind = NOT_STARTED if now.kind == "new" else now.kind
        yield {"event": "end", "work": work, "outcomes": {t.seed: Outcome(kind, now.cause, now.message, now.test_acc)}}
