"""`result.json`: the end marker of a trial, with everything a table needs to know of it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ablation.errors import AblationError
from ablation.store import journal
from ablation.store.atomic import write_atomic
from ablation.store.attempt import Attempt, latest

Result = dict[str, Any]
Outcomes = dict[int, Result | AblationError]  # of seeds
RESULT = "result.json"


class Damaged(AblationError):
    """A result that cannot be read; the trial can be ended again without it."""


def finished(seed_folder: Path) -> Result | None:
    """The result of a seed, if it is done. With a later attempt than the result's it is not: only that one may end it.

    Results from before there were attempts have no `attempt` and count.

    Raises:
        Damaged: it is cut off, or nothing that a trial has written.
    """
    path = seed_folder / RESULT
    try:
        result: Result = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as e:
        raise _damaged(path, f"no JSON: {e}") from e
    if not isinstance(result, dict) or "test_acc" not in result:
        raise _damaged(path, "no result of a trial")
    if type(result.get("attempt", 0)) is not int:
        raise _damaged(path, f"attempt is {result['attempt']!r}")
    return result if "attempt" not in result or result["attempt"] >= latest(seed_folder) else None


def look(seed_folder: Path) -> Result | Damaged | None:
    """`finished` for those who look at many trials, of which one that is damaged must not hide the others."""
    try:
        return finished(seed_folder)
    except Damaged as e:
        return e


def _damaged(path: Path, why: str) -> Damaged:
    return Damaged(f"{path}: is damaged ({why}); delete it: the trial ends again from its checkpoint")


def conclude(attempt: Attempt, seed: int, facts: Mapping[str, Any]) -> Result:
    """The result: the last epoch's metrics from the journals, the best epoch, and further facts."""
    events = journal.events(attempt.seed_folder)
    epochs = journal.history(events)
    best = max(epochs, key=lambda e: e["metrics"]["test_acc"] or -1.0)
    speeds = sorted(e["metrics"]["images_per_s"] for e in epochs)
    return {
        "seed": seed,
        **epochs[-1]["metrics"],
        "best_test_acc": best["metrics"]["test_acc"],
        "best_epoch": best["epoch"],
        "images_per_s": speeds[len(speeds) // 2],  # the median epoch's: other work on the machine disturbs some
        "attempt": attempt.number,
        "attempts": attempt.number,  # those that claimed the trial, as everywhere, also if they never trained
        **facts,
    }


def write(attempt: Attempt, result: Result) -> None:
    """Write `result.json`, atomically and last of all: with it the trial is done.

    Raises:
        Fenced: the result of a higher attempt is the one that counts.
    """
    own, final = attempt.folder / RESULT, attempt.seed_folder / RESULT
    write_atomic(own, json.dumps(result, indent=1).encode() + b"\n")
    attempt.check()
    try:
        os.link(own, final)  # fails if there is one: of a higher attempt, if this process has slept since it checked
        own.unlink()
    except OSError:  # there is one, or files have no second names here
        attempt.check()
        own.replace(final)
