"""Who drives a local sweep: `<submission>/driver.json` names the process and the trials that it will start.

It is touched while the driver lives and removed when it ends, so that a status can tell what is still to come, and
nobody else drives the same submission meanwhile.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from filelock import FileLock

from ablation.errors import AblationError
from ablation.store import heartbeat
from ablation.store.atomic import write_atomic
from ablation.store.attempt import Owner
from launch.status.outcome import TrialKey
from launch.status.sweep_status import Pending
from launch.sweep.submission import Submission

DRIVER = "driver.json"  # in a submission's folder
_LOCK = ".driver.lock"  # who holds it may become the driver
_PATIENCE = 60.0  # seconds to wait for another shell that does so
_LEASE = 60.0  # seconds without a touch after which a driver that cannot be seen from here counts as dead


@contextmanager
def driving(submission: Submission) -> Iterator[Callable[[], None]]:
    """Be the process that drives a submission; what is given is to be called again and again.

    Raises:
        AblationError: another process does.
    """
    path, record = submission.folder / DRIVER, json.dumps(driver_record(submission)).encode()
    with FileLock(submission.folder / _LOCK, timeout=_PATIENCE):
        refuse_if_driven(submission)
        write_atomic(path, record)
    touched = time.monotonic()

    def touch() -> None:
        nonlocal touched
        if time.monotonic() - touched > _LEASE / heartbeat.BEATS:
            touched = time.monotonic()
            with suppress(OSError):  # a file server that is away for a while
                os.utime(path)

    try:
        yield touch
    finally:
        with suppress(OSError):
            if path.read_bytes() == record:  # else this process was taken for dead, and another drives now
                path.unlink()


def refuse_if_driven(submission: Submission) -> None:
    """Look whether a submission may be driven from here.

    Raises:
        AblationError: another process does that.
    """
    if (owner := living_driver(submission.folder)) is not None:
        raise AblationError(
            f"{submission.name} is still being run by {owner}: wait for it, or stop it with Ctrl-C there"
        )


def living_driver(folder: Path) -> Owner | None:
    """The process that drives a submission now; None if none does."""
    path = folder / DRIVER
    try:
        owner = Owner(**json.loads(path.read_bytes())["owner"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    runs = owner.runs()
    alive = heartbeat.fresh(path, _LEASE) if runs is None else runs
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
