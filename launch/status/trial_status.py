"""How a trial stands, by its files alone: they are the truth, whoever wrote them and wherever.

A finished trial costs one listing and one small file; of the others only the ends of their journals are read.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from ablation.store import attempt
from ablation.store.attempt import CANCEL
from ablation.store.journal import Event, ends, last_epoch, tail
from ablation.store.result import RESULT, Damaged, finished, look

_SAME_TIME = 60.0  # seconds by which clocks of two machines may differ
KINDS = ("done", "running", "queued", "new", "stopped", "cancelled", "blocked", "failed")


@dataclass(frozen=True)
class TrialStatus:
    """How one trial stands."""

    kind: str  # one of KINDS
    cause: str = ""  # of a trial that failed or stopped: oom, diverged, killed, asked, ...
    message: str = ""
    epoch: int = 0  # epochs behind it
    step: int = 0
    attempts: int = 0  # those that claimed the trial, also if they died before they trained
    test_acc: float | None = None  # percent, of the last epoch
    owner: str = ""  # who trains it, or did so last
    seconds: float | None = None  # of training, as the result has them; None before it is done
    time: float = 0.0  # of the last news, seconds since 1970; 0 if there are none


def of(folder: Path, lease: float = 60.0, write: bool = True) -> TrialStatus:
    """The state of a seed's folder, which need not exist. Without its sweep, no trial is queued or blocked.

    `lease`: seconds after which a trial without a sign of life is given up. `write`: see `attempt.live`.
    """
    try:
        return _done(folder) or _unfinished(folder, lease, write)
    except Damaged as e:
        return TrialStatus("failed", "damaged", str(e))
    except (ValueError, KeyError, TypeError, AttributeError) as e:
        return TrialStatus(
            "failed", "damaged", f"{folder}: {type(e).__name__}: {e}; move the folder away to start anew"
        )


def done_at(seed_folder: Path) -> float | None:
    """When a trial was done, seconds since 1970; None if it is not.

    A trial that was done before somebody asked for it is not run again; whoever asks is to see how old its numbers are.
    """
    result = look(seed_folder)
    if result is None or isinstance(result, Damaged):
        return None
    _, last = ends(attempt.folder(seed_folder, int(result.get("attempt", 0)))) or (None, None)
    recorded = last is not None and last["event"] == "done"
    return float(last["time"]) if recorded and last is not None else (seed_folder / RESULT).stat().st_mtime


def format_ago(times: Iterable[float]) -> str:
    """How long ago the last of these was: `12 min ago`. After a clock was set back it may be still to come."""
    ago = time.time() - max(times)
    if ago < -_SAME_TIME:
        return f"{format_duration(-ago)} from now, by this machine's clock"
    return f"{format_duration(max(0.0, ago))} ago"


def format_duration(seconds: float) -> str:
    """In the unit and with the digits that people would use: `2.5 h`, `12 min`, `90 s`, `5 s`."""
    units = (("days", 86400), ("h", 3600), ("min", 60), ("s", 1))
    unit, length = next(u for u in units if seconds >= 2 * u[1] or u[1] == 1)
    number = f"{seconds / length:.1f}" if seconds < 9.95 * length else f"{seconds / length:.0f}"
    return f"{number.removesuffix('.0')} {unit}"


def _done(folder: Path) -> TrialStatus | None:
    result = finished(folder)
    if result is None:
        return None
    return TrialStatus(
        "done",
        epoch=result["epochs"],
        step=result["steps"],
        attempts=int(result.get("attempt") or result["attempts"]),
        test_acc=result["test_acc"],
        seconds=result["seconds"],
    )


def _unfinished(folder: Path, lease: float, write: bool) -> TrialStatus:
    number, cancelled = attempt.latest(folder), (folder / CANCEL).exists()
    if not number:
        return TrialStatus("cancelled" if cancelled else "new")
    newest = attempt.folder(folder, number)
    live, events, owner = attempt.live(newest, lease, write), tail(newest), attempt.owner(newest)
    claimed: Event = {"event": "claimed", "time": owner.time if owner else 0.0}  # the journal is opened a moment later
    last = events[-1] if events else claimed
    epoch = last_epoch(folder, number, events)
    status = TrialStatus(
        "running",
        message="is being cancelled" if cancelled else "",
        epoch=epoch["epoch"],
        step=epoch["step"],
        attempts=number,
        test_acc=epoch["metrics"].get("test_acc"),
        owner=str(owner or ""),
        time=last["time"],
    )
    if live:
        return status
    if last["event"] == "done" and (done := _done(folder)):  # finished between two looks
        return done
    ended = _ended(status, last)
    if not cancelled or (ended.kind == "failed" and (folder / CANCEL).stat().st_mtime < ended.time):
        return ended  # who was told to stop, and failed while doing so, has failed
    return replace(ended, kind="cancelled")


def _ended(status: TrialStatus, last: Event) -> TrialStatus:
    """Of an attempt that nobody makes any more, by the last that it wrote."""
    status = replace(status, message="")
    if last["event"] == "failed":
        return replace(status, kind="failed", cause=last["cause"], message=last["message"])
    if last["event"] == "stopped":
        cancelled = last["why"] == "cancelled"
        return replace(status, kind="cancelled") if cancelled else replace(status, kind="stopped", cause=last["why"])
    return replace(
        status, kind="stopped", cause="killed", message=f"{status.owner or 'its process'} died without an error"
    )
