"""The keeper: a small job that follows all others of a submission and makes its next round (`keeper_job.py`).

It is submitted before them, to begin some minutes later whatever happens, and then made to wait for them instead. So
its place in the queue is safe before limits are reached, and if whoever submits is killed half way, it goes on.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from ablation.errors import AblationError
from launch.slurm import commands, jobs, records, sbatch
from launch.slurm.jobs import JobKey
from launch.slurm.sbatch import JOBS
from launch.slurm.state import SubmissionView, find_number
from launch.sweep import entry_points
from launch.sweep.submission import Submission

_DELAY_MINUTES = 10  # minutes after which a keeper begins that waits for nothing
_NONE = "no job follows the others to try again what fails"


def known(submission: Submission) -> list[JobKey]:
    """Every keeper that was ever submitted: SLURM may put one back and hold it that has long been succeeded."""
    names = sorted(name for name in sbatch.submitted_names(submission.folder) if "-keeper-" in name)
    newest = records.read_keeper(submission)
    return [newest, *(JobKey(name) for name in names if name != newest.name)]


def dismiss(submission: Submission, me: str) -> None:
    """Take back the keepers that wait, since all is over. `me`: the job we are.

    Raises:
        AblationError: SLURM cannot be asked.
    """
    waiting = [job.id for job in jobs.queue(known(submission)).values() if job.state == "PENDING" and job.id != me]
    commands.cancel_jobs(waiting)


@dataclass
class Keeper:
    """The keeper's job while it waits; `job` is empty if there is none, and `trouble` says why."""

    view: SubmissionView
    job: str = ""
    trouble: str = ""

    @classmethod
    def submit(cls, view: SubmissionView, me: str) -> Keeper:
        """Submit a keeper, unless one waits already. `me`: the job we are, which does not count."""
        known = jobs.queue([records.read_keeper(view.submission)]).values()
        waiting = [job for job in known if job.state == "PENDING" and job.id != me]
        if waiting:
            commands.release_jobs([job.id for job in waiting if job.stuck])
            return cls(view, waiting[0].id)
        name = records.new_job_name(view.submission, "keeper")
        records.write_keeper(view.submission.folder, JobKey(name))
        flags = {**view.options.keeper_flags(), "begin": f"now+{_DELAY_MINUTES}minutes"}
        module = [view.submission.entries[entry_points.KEEPER], str(view.submission.folder)]
        began = time.time()
        try:
            job = sbatch.submit(
                view.submission.folder / JOBS,
                name,
                module,
                flags,
                cwd=view.submission.cwd,
                code=view.submission.code,
                setup=view.options.setup,
                python=view.options.python,
                srun=False,
            )
        except sbatch.PerhapsSubmitted as e:
            job = find_number(JobKey(name), began)
            if not job:
                return cls(view, trouble=f"{_NONE} ({e}); `ablation watch` does so instead")
        except AblationError as e:
            return cls(view, trouble=f"{_NONE} ({e}); `ablation watch` does so instead")
        records.write_keeper(view.submission.folder, JobKey(name, job))
        return cls(view, job)

    def cancel(self) -> None:
        """Take it back: there is nothing to follow."""
        if self.job:
            commands.cancel_jobs([self.job])

    def follow(self, others: Sequence[str], any_of_them: bool) -> None:
        """Begin after these jobs, or, if there are more that SLURM did not take yet, after any of them."""
        if not self.job:
            return
        after = ("?" if any_of_them else ",").join(f"afterany:{job}" for job in others)
        try:
            if others:
                commands.update_job(self.job, Dependency=after, StartTime="now")
        except AblationError as e:  # it then begins in some minutes, and looks
            self.trouble = (
                f"the job that follows the others does not wait for them: it begins in {_DELAY_MINUTES} minutes ({e})"
            )
