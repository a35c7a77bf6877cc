"""What went wrong in a sweep, grouped: the same exception at the same place is one thing to look at."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ablation.store import attempt
from ablation.store.journal import tail
from launch.status.sweep_status import UNREADABLE, Trial

_PLACE = re.compile(r'^\s*File "(.+)", line (\d+), in (\S+)', re.MULTILINE)
_RAISED = re.compile(r"^([A-Za-z_][\w.]*)(?::|$)", re.MULTILINE)
_VARIABLE = re.compile(r"\S*/\S+|\b[0-9a-f]{16}\b|\d+(\.\d+)?")  # paths, ids and numbers differ, the mishap does not


@dataclass(frozen=True)
class TrialFailure:
    """Why one trial is not done."""

    trial: Trial
    kind: str  # the exception's type, or the cause if there was none
    place: str  # file:line of the last frame; empty if there is no traceback
    cause: str
    message: str
    trace: str


def group(trials: Iterable[Trial]) -> list[list[TrialFailure]]:
    """The failures among these trials, the most frequent first."""
    groups: dict[tuple[str, ...], list[TrialFailure]] = {}
    for trial in filter(failed, trials):
        f = read_failure(trial)
        key = (f.kind, f.place) if f.place else (f.kind, f.cause, _VARIABLE.sub("#", f.message))
        groups.setdefault(key, []).append(f)
    return sorted(groups.values(), key=len, reverse=True)


def failed(trial: Trial) -> bool:
    """Whether something went wrong: it failed, or its process died without an error, also if it was cancelled then."""
    kind, cause = trial.state.kind, trial.state.cause
    return kind == "failed" or (kind in ("stopped", "cancelled") and cause not in ("", "asked"))


def read_failure(trial: Trial) -> TrialFailure:
    """Why a trial failed, by its state and the last line of its journal."""
    trace = "" if trial.state.cause in ("damaged", UNREADABLE) else _read_trace(trial)
    frames = _PLACE.findall(trace)
    raised = _RAISED.findall(trace[trace.rfind("\n  File") + 1 :]) if frames else []
    kind = raised[0].rpartition(".")[2] if raised else trial.state.cause
    place = f"{frames[-1][0]}:{frames[-1][1]}" if frames else ""
    return TrialFailure(trial, kind, place, trial.state.cause, trial.state.message, trace)


def _read_trace(trial: Trial) -> str:
    events = tail(attempt.folder(trial.folder, attempt.latest(trial.folder)))
    return str(events[-1].get("trace", "")) if events and events[-1]["event"] == "failed" else ""
