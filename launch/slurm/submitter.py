"""Handing arrays to SLURM so that none is lost or submitted twice, and as many as its limits allow.

What is about to be submitted is written down first; if sbatch fails although the job was perhaps accepted, the job is
looked for by its name. What SLURM refuses is kept in its own words, and does not hold up what else is to be submitted.
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
from launch.slurm.sbatch import JOBS
from launch.slurm.state import SubmissionView, find_job
from launch.status.retry_policy import REFUSED, Decision
from launch.sweep import entry_points

_AGAIN = "what failed there is tried there again"


class Refused(AblationError):
    """SLURM does not take a job, in its own words."""


@dataclass
class Submitter:
    """What one round submits."""

    view: SubmissionView
    supersede: Sequence[str]
    canary_job: str = ""  # a job that has to succeed before any of these may start
    arrays: list[Array] = field(default_factory=list)
    not_submitted: int = 0  # works that SLURM does not take for now
    limit: str = ""  # on the number of jobs, in SLURM's words
    refused: list[Decision] = field(default_factory=list)  # works that SLURM does not take as they are
    notes: list[str] = field(default_factory=list)
    _canary_refusal: str = ""

    def __post_init__(self) -> None:
        self._number = max((array.number for array in self.view.arrays), default=0)  # of the newest array

    def submit(self, drafts: Sequence[ArrayDraft]) -> None:
        """Submit these, in order, as much as SLURM takes; what has a teacher among what is refused is left out.

        Raises:
            AblationError: sbatch cannot be called.
        """
        jobs = {work: assignment.array.job for work, assignment in self.view.assignments.items()}
        for draft in drafts:
            rest = self._able(draft.batches)
            size = 0 if self.limit else len(rest)
            while rest and size:
                try:
                    array = self._submit_array(
                        rest[:size], draft, self._teacher_jobs(rest[:size], jobs) if draft.stage else []
                    )
                except sbatch.LimitReached as e:
                    self.limit, size = str(e), size // 2
                    continue
                except Refused as e:
                    if draft.room.exclude:  # by our own wish, which may leave no node that is fit
                        self.notes.append(f"without {', '.join(draft.room.exclude)} SLURM takes no job, so {_AGAIN}")
                        draft = replace(draft, room=replace(draft.room, exclude=()))
                        continue
                    self._refuse([work for batch in rest for work in batch], str(e))
                    break
                jobs |= {work: array.job for batch in array.batches for work in batch}
                rest = rest[size:]
                size = min(size, len(rest))
            else:
                self.not_submitted += sum(map(len, rest))

    def submit_canary(self, batches: Sequence[Works]) -> None:
        """Submit a canary; what is submitted afterwards waits for all of its jobs to succeed."""
        if not batches:
            return
        try:
            array = self._submit_array(batches, ArrayDraft(tuple(batches), self.view.options.room, 0), [], canary=True)
            self.canary_job = array.job
        except sbatch.LimitReached as e:
            self.limit = str(e)
        except Refused as e:
            self._canary_refusal = str(e)

    def _able(self, batches: Sequence[Works]) -> Sequence[Works]:
        """Without works that cannot run since their canary or a teacher was refused; these are refused as well."""
        refused = {decision.work: decision.reason for decision in self.refused}
        able = []
        for batch in batches:
            why = {work: self._canary_refusal for work in batch if self._canary_refusal}
            why |= {w: refused[t] for w in batch for t in teachers(self.view.submission, w) if t in refused}
            for work, reason in why.items():
                self._refuse([work], reason)
            if rest := tuple(work for work in batch if work not in why):
                able.append(rest)
        return able

    def _refuse(self, works: Sequence[Work], reason: str) -> None:
        self.refused += [Decision(work, REFUSED, reason, self._number, REFUSED) for work in works]

    def _teacher_jobs(self, batches: Sequence[Works], jobs: dict[Work, str]) -> list[str]:
        """The jobs that train these works' teachers."""
        of = [t for batch in batches for work in batch for t in teachers(self.view.submission, work)]
        return sorted({jobs[t] for t in of if t in jobs})

    def _submit_array(
        self, batches: Sequence[Works], draft: ArrayDraft, after: list[str], canary: bool = False
    ) -> Array:
        submission, options = self.view.submission, self.view.options
        self._number = number = self._number + 1
        name = records.new_job_name(submission, str(number))
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
        module = [submission.entries[entry_points.JOB], str(submission.folder), str(number), name]
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
                python=self.view.options.python,
            )
        except sbatch.LimitReached:
            records.delete_array(submission.folder, array.number)
            raise
        except sbatch.PerhapsSubmitted as e:
            found = find_job(submission.folder, array, since=array.time)
            if found.job == LOST:
                raise Refused(str(e)) from e
            return found
        found = replace(array, job=job)
        records.write_array(submission.folder, found)
        return found
