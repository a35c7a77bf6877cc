"""Who is still about to start trials of a sweep: the driver of a local run, or jobs that wait in SLURM's queue."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ablation.errors import AblationError
from ablation.store.attempt import Owner
from launch.slurm import backend, commands, store
from launch.slurm import store as verdicts
from launch.slurm.store import RETRY, Verdict
from launch.sweep.submission import Submission

DRIVER = "driver.json"  # in a submission's folder: what `driving` says; touched while the driver lives
_LEASE = 60.0  # seconds without a touch after which a driver that cannot be seen from here is given up
_Key = tuple[str, int]  # id and seed


class Flight:
    """What the submissions of a sweep (oldest first) still have in flight, as of now."""

    def __init__(self, submissions: Sequence[Submission]) -> None:
        self.trouble: list[str] = []  # why something could not be found out
        self._awaited: set[_Key] = set()
        self._verdicts: dict[_Key, Verdict] = {}
        for submission in submissions:
            if submission.launcher.get("kind") == "slurm":
                self._ask_slurm(submission)
            elif driver(submission.folder) is not None:
                self._awaited |= _driven(submission)

    def awaits(self, id_: str, seed: int) -> bool:
        """Whether someone will start this trial if nobody trains it and it is not done."""
        return (id_, seed) in self._awaited

    def verdict(self, id_: str, seed: int) -> Verdict | None:
        """What was decided of a trial that did not finish: to try it again, or to give it up."""
        return self._verdicts.get((id_, seed))

    def _ask_slurm(self, submission: Submission) -> None:
        past = verdicts.read_verdicts(submission.folder)
        self._verdicts |= {(work.id, seed): known[-1] for work, known in past.items() for seed in work.seeds}
        try:
            self._awaited |= backend.awaited(submission.folder)
            if _kept(submission):
                self._awaited |= _trials(submission) - {key for key, v in self._verdicts.items() if v.decision != RETRY}
        except AblationError as e:
            self.trouble.append(f"what SLURM has of {submission.folder} is not known: {e}")


def driver(folder: Path) -> Owner | None:
    """The process that drives a submission; None if none does, or no longer."""
    path = folder / DRIVER
    try:
        owner = Owner(**json.loads(path.read_bytes())["owner"])
        runs = owner.runs()
        alive = time.time() - path.stat().st_mtime < _LEASE if runs is None else runs
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return owner if alive else None


def driving(submission: Submission) -> dict[str, Any]:
    """What a driver writes: who it is, and the trials that it will start."""
    return {"owner": asdict(Owner.here()), "trials": sorted(_trials(submission))}


def _driven(submission: Submission) -> set[_Key]:
    try:
        return {(id_, seed) for id_, seed in json.loads((submission.folder / DRIVER).read_bytes())["trials"]}
    except (FileNotFoundError, ValueError, KeyError, TypeError):  # it has just left
        return set()


def _kept(submission: Submission) -> bool:
    """Whether a job is to come that submits what is left."""
    return any(job.active for job in commands.queue([store.name(submission, "keeper")]).values())


def _trials(submission: Submission) -> set[_Key]:
    return {(work.id, seed) for work in submission.works for seed in work.seeds}
