"""What a round starts from: a submission's arrays, and what SLURM says of their jobs, read once."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from launch.compose.arm import Work
from launch.slurm import jobs, options, records
from launch.slurm.jobs import Job, JobKey
from launch.slurm.options import SlurmOptions
from launch.slurm.records import LOST, Array
from launch.sweep import submission
from launch.sweep.submission import Submission

_SEARCH_PAUSE = 2  # seconds after which a job that was perhaps accepted is searched once more


@dataclass(frozen=True)
class Assignment:
    """Where a work was last handed to SLURM."""

    array: Array
    index: int  # of the batch

    @property
    def job(self) -> str:
        """As SLURM calls it."""
        return self.array.task(self.index)


class SubmissionView:
    """A submission with its arrays and jobs, as of now. SLURM is asked when something depends on its answer."""

    def __init__(self, folder: Path) -> None:
        self.submission: Submission = submission.load(folder)
        self.options: SlurmOptions = options.read(self.submission.launcher)

    @cached_property
    def arrays(self) -> list[Array]:
        """Every array, oldest first, with SLURM's number."""
        return [self._resolved(array) for array in records.read_arrays(self.submission.folder)]

    @cached_property
    def _queue(self) -> dict[str, Job]:
        return jobs.queue(array.key for array in self.arrays if array.job != LOST)

    def _resolved(self, array: Array) -> Array:
        """With SLURM's number: whoever submitted it may have died before hearing it."""
        if array.job:
            return array
        return find_job(self.submission.folder, array, since=self.submission.time)

    @cached_property
    def _account(self) -> dict[str, Job]:
        """Asked only when something has ended that is not done."""
        return jobs.accounts((array.key for array in self.arrays if array.job != LOST), self.submission.time)

    @cached_property
    def assignments(self) -> dict[Work, Assignment]:
        """Where each work was handed to SLURM last."""
        known = [a for a in self.arrays if a.job != LOST and not a.canary]
        return {work: Assignment(a, k) for a in known for k, batch in enumerate(a.batches) for work in batch}

    @cached_property
    def taken_over(self) -> dict[Work, Submission]:
        """What later submissions of the same sweep ask for, and the last that does: it is that one's to look after."""
        return {work: later for later in later_submissions(self.submission) for work in later.works}

    def later_folders(self, works: Iterable[Work]) -> tuple[Path, ...]:
        """The submissions that took these over, if they are of this launcher: of another's no round can be made."""
        own, by_folder = self.submission.launcher, {self.taken_over[w].folder: self.taken_over[w] for w in works}
        same = [s for s in by_folder.values() if all(s.launcher.get(k) == own.get(k) for k in ("backend", "kind"))]
        return tuple(s.folder for s in same)

    def active(self, job: str) -> bool:
        """Whether a job waits or runs."""
        return job in self._queue and self._queue[job].active

    def stuck(self, job: str) -> bool:
        """Whether SLURM could not start a job and has put it aside."""
        return job in self._queue and self._queue[job].stuck

    @property
    def arrays_in_queue(self) -> set[str]:
        """Our arrays with a job that waits or runs: until then it counts against limits, be its trials done or not."""
        ours = {array.job for array in self.arrays if not array.canary}
        return ours & {job.number for job in self._queue.values() if job.active}

    def ended(self, job: str) -> Job:
        """The last of a job that is not active. An array's task that was cancelled while waiting leaves no trace."""
        recent, accounted = self._queue.get(job), self._account.get(job)
        if accounted and (recent is None or accounted.state == "OUT_OF_MEMORY"):
            return accounted
        if recent:
            return replace(recent, mem_mib=accounted.mem_mib if accounted else None)
        siblings = {other.number for other in (*self._queue.values(), *self._account.values())}
        return Job(job, "", "CANCELLED" if job.partition("_")[0] in siblings else "")


def later_submissions(own: Submission) -> list[Submission]:
    """Of the same sweep, oldest first."""
    folders = submission.submissions(own.out, own.name)
    return [submission.load(folder) for folder in folders if int(folder.name) > own.number]


def find_job(folder: Path, array: Array, since: float) -> Array:
    """Find an array by its name, in case it was accepted after all; without a trace it is written off as lost."""
    found = replace(array, job=find_number(array.key, since) or LOST)
    records.write_array(folder, found)
    return found


def find_number(key: JobKey, since: float) -> str:
    """SLURM's number of a job that was perhaps accepted, submitted after `since`; empty if there is no trace of it.

    SLURM also keeps records of what it refused. These are no trace.

    Raises:
        AblationError: SLURM cannot be asked.
    """
    for wait in (_SEARCH_PAUSE, 0):
        known = [*jobs.queue([key]).values(), *jobs.accounts([key], since).values()]
        if accepted := [job for job in known if job.accepted]:
            return accepted[0].number
        time.sleep(wait)
    return ""
