"""`result.json`: the end marker of a trial, with everything a table needs to know of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ablation import journal
from ablation.atomic import write_atomic
from ablation.attempt import Attempt, latest

Result = dict[str, Any]
RESULT = "result.json"


def finished(seed_folder: Path) -> Result | None:
    """The result of a seed, if it is done. With a later attempt than the result's it is not: only that one may end it.

    Results from before there were attempts have no `attempt` and count.
    """
    try:
        result: Result = json.loads((seed_folder / RESULT).read_bytes())
    except FileNotFoundError:
        return None
    return result if "attempt" not in result or result["attempt"] >= latest(seed_folder) else None


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
        "attempts": journal.attempts(events),
        **facts,
    }


def write(attempt: Attempt, result: Result) -> None:
    """Write `result.json`, atomically and last of all: with it the trial is done.

    Raises:
        Fenced: the result of a higher attempt is the one that counts.
    """
    own = attempt.folder / RESULT
    write_atomic(own, json.dumps(result, indent=1).encode() + b"\n")
    attempt.check()
    own.replace(attempt.seed_folder / RESULT)
