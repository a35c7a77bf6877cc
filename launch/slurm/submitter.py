"""Handing arrays to SLURM so that none is lost or submitted twice, and as many as its limits allow.

What is about to be submitted is written down first; if sbatch fails although the job was perhaps accepted, the job is
looked for by its name.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ablation.errors import AblationError
from launch.compose.arm import Work
from launch.slurm import records, sbatch
from launch.slurm.job_batches import ArrayDraft, Works, teachers
from launch.slurm.records import LOST, Array
from launch.slurm.state import SubmissionView, find_job
from launch.sweep import entry_points

JOBS = "jobs"  # in the submission's folder: sbatch files and the jobs' own logs


@dataclass
class Submitter:
    """What one round submits."""

    view: SubmissionView
    supersede: Sequence[str]
    canary_job: str = ""  # a job that has to succeed before any of these may start
    arrays: list[Array] = field(default_factory=list)
    not_submitted: int = 0  # works that SLURM does not take for now
    refusal: str = ""  # in SLURM's words

    def submit(self, drafts: Sequence[ArrayDraft]) -> None:
        """Submit these, in order, as much as SLURM takes.

        Raises:
            AblationError: SLURM refuses for another reason than a limit on the number of jobs.
        """
        jobs = {work: assignment.array.job for work, assignment in self.view.assignments.items()}
        for draft in drafts:
            rest = draft.batches
            size = 0 if self.refusal else len(rest)
            while rest and size:
                try:
                    array = self._submit_array(
                        rest[:size], draft, self._teacher_jobs(rest[:size], jobs) if draft.stage else []
                    )
                except sbatch.LimitReached as e:
                    self.refusal, size = str(e), size // 2
                    continue
                jobs |= {work: array.job for batch in array.batches for work in batch}
                rest = rest[size:]
                size = min(size, len(rest))
            self.not_submitted += sum(map(len, rest))

    def submit_canary(self, batches: Sequence[Works]) -> None:
        """Submit a canary; what is submitted afterwards waits for all of its jobs to succeed.

        Raises:
            AblationError: SLURM refuses for another reason than a limit on the number of jobs.
        """
        if not batches:
            return
        try:
            array = self._submit_array(batches, ArrayDraft(tuple(batches), self.view.options.room, 0), [], canary=True)
            self.canary_job = array.job
        except sbatch.LimitReached as e:
            self.refusal = str(e)

    def _teacher_jobs(self, batches: Sequence[Works], jobs: dict[Work, str]) -> list[str]:
        """The jobs that train these works' teachers."""
        of = [t for batch in batches for work in batch for t in teachers(self.view.submission, work)]
        return sorted({jobs[t] for t in of if t in jobs})

    def _submit_array(
        self, batches: Sequence[Works], draft: ArrayDraft, after: list[str], canary: bool = False
    ) -> Array:
        submission, options = self.view.submission, self.view.options
        number = 1 + max((a.number for a in [*self.view.arrays, *self.arrays]), default=0)
        name = records.job_name(submission, str(number))
        array = Array(number, name, tuple(batches), draft.room, tuple(self.supersede), time=time.time(), canary=canary)
        records.write_array(submission.folder, array)
        depends = [f"afterok:{self.canary_job}"] if self.canary_job else []
        depends += [f"afterany:{':'.join(after)}"] if after else []
        flags = {
            **options.flags(draft.room),
            "array": f"0-{len(batches) - 1}{f'%{options.parallel}' if options.parallel else ''}",
            "signal": f"USR2@{options.grace}",
            "requeue": True,
            **({"dependency": ",".join(depends), "kill-on-invalid-dep": "yes"} if depends else {}),
        }
        module = [submission.entries[entry_points.JOB], str(submission.folder), str(number)]
        array = self._sbatch(array, module, flags)
        self.arrays.append(array)
        return array

    def _sbatch(self, array: Array, module: Sequence[str], flags: dict[str, object]) -> Array:
        submission = self.view.submission
        try:
            job = sbatch.submit(
                submission.folder / JOBS,
                array.name,
                module,
                flags,
                cwd=submission.cwd,
                code=submission.code,
                setup=self.view.options.setup,
            )
        except sbatch.LimitReached:
            records.delete_array(submission.folder, array.number)
            raise
        except sbatch.PerhapsSubmitted as e:
            found = find_job(submission.folder, array, since=array.time)
            if found.job == LOST:
                raise AblationError(f"sbatch: {e}") from e
            return found
        found = replace(array, job=job)
        records.write_array(submission.folder, found)
        return found
