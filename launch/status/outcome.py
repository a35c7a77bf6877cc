"""What became of a trial, and the lines of JSON, one an event, in which a worker tells its driver."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from launch.compose.arm import Work

NOT_STARTED = "not started"
HELD = "held"  # not started either, since a canary failed
_REFUSED = {"config", "contract"}  # causes of what was not even begun
Event = dict[str, Any]  # one line; `event` says which
TrialKey = tuple[str, int]  # id, seed


@dataclass(frozen=True)
class Outcome:
    """What became of one trial."""

    state: str  # done, failed, stopped, cancelled, blocked, held, not started; busy: another process trains it
    cause: str = ""  # of a failure, see `launch.status.retry_policy.CAUSES`
    message: str = ""
    test_acc: float | None = None  # percent, of the last epoch; None if it is not finite or there is none


Outcomes = dict[int, Outcome]  # by seed


def done_outcome(result: Mapping[str, Any]) -> Outcome:
    """The outcome of a trial with this result."""
    return Outcome("done", test_acc=result["test_acc"])


def exit_code(outcomes: Mapping[TrialKey, Outcome]) -> int:
    """0: every trial is done, 1: some failed, 2: all that failed were refused, 130: stopped before the end."""
    states = {o.state for o in outcomes.values()}
    if states & {"stopped", NOT_STARTED}:
        return 130
    causes = {o.cause for o in outcomes.values() if o.state == "failed"}
    if causes:
        return 2 if causes <= _REFUSED else 1
    return 0 if states <= {"done"} else 1


def encode(event: Mapping[str, Any]) -> bytes:
    """An event as one line of JSON."""
    return json.dumps(event, default=_to_json).encode() + b"\n"


def decode(line: bytes) -> Event:
    """The event of a line.

    Raises:
        ValueError: it is none.
    """
    event = json.loads(line)
    if not isinstance(event, dict) or "event" not in event:
        raise ValueError(f"not an event: {line[:200]!r}")
    if "work" in event:
        event["work"] = decode_work(event["work"])
    if "outcomes" in event:
        event["outcomes"] = {int(seed): Outcome(**o) for seed, o in event["outcomes"].items()}
    return event


def decode_work(pair: Any) -> Work:
    """A work from its JSON, `[id, [seeds]]`."""
    arm, seeds = pair
    return Work(arm, tuple(seeds))


def _to_json(value: Any) -> Any:
    if isinstance(value, Work):
        return [value.id, list(value.seeds)]
    if isinstance(value, Outcome):
        return asdict(value)
    raise TypeError(f"{type(value).__name__} in an event")
