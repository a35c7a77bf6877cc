"""Who drives a local sweep: `<submission>/driver.json` names the process and the trials that it will start.

It is touched while the driver lives and removed when it ends, so that a status can tell what is still to come.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ablation.store.attempt import Owner
from launch.status.outcome import TrialKey
from launch.status.sweep_status import Pending
from launch.sweep.submission import Submission

DRIVER = "driver.json"  # in a submission's folder
_LEASE = 60.0  # seconds without a touch after which a driver that cannot be seen from here counts as dead


def living_driver(folder: Path) -> Owner | None:
    """The process that drives a submission now; None if none does."""
    path = folder / DRIVER
    try:
        owner = Owner(**json.loads(path.read_bytes())["owner"])
        runs = owner.runs()
        alive = time.time() - path.stat().st_mtime < _LEASE if runs is None else runs
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return owner if alive else None


def driver_record(submission: Submission) -> dict[str, Any]:
    """What a driver writes into its file: who it is, and the trials that it will start."""
    return {"owner": asdict(Owner.here()), "trials": sorted(submission.trials)}


def pending(submission: Submission) -> Pending:
    """What its driver will start, if one lives."""
    return Pending() if living_driver(submission.folder) is None else Pending(awaited=_driver_trials(submission))


def _driver_trials(submission: Submission) -> set[TrialKey]:
    try:
        return {(id_, seed) for id_, seed in json.loads((submission.folder / DRIVER).read_bytes())["trials"]}
    except (FileNotFoundError, ValueError, KeyError, TypeError):  # it has just left
        return set()
