"""Handing arrays to SLURM: the intent is written first, what was perhaps accepted is looked for, limits are obeyed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ablation.errors import AblationError
from launch.compose.arm import Work
from launch.slurm import sbatch, store
from launch.slurm.batches import ArrayDraft, Batch, teachers
from launch.slurm.store import LOST, Array
from launch.slurm.view import SubmissionView, adopt
from launch.sweep import entry

JOBS = "jobs"  # in the submission's folder: sbatch files and the jobs' own logs


@dataclass
class Submitter:
    """What one round submits."""

    view: SubmissionView
    supersede: Sequence[str]
    first: str = ""  # a job that has to succeed before any of these may start
    arrays: list[Array] = field(default_factory=list)
    backlog: int = 0  # works that SLURM does not take for now
    refusal: str = ""  # in SLURM's words

    def submit(self, drafts: Sequence[ArrayDraft]) -> None:
        """Submit these, in order, as much as SLURM takes.

        Raises:
            AblationError: SLURM refuses for another reason than a limit on the number of jobs.
        """
        where = {work: place.array.job for work, place in self.view.places.items()}
        for draft in drafts:
            rest = draft.batches
            size = 0 if self.refusal else len(rest)
            while rest and size:
                try:
                    array = self._array(rest[:size], draft, self._needed(rest[:size], where) if draft.stage else [])
                except sbatch.Full as e:
                    self.refusal, size = str(e), size // 2
                    continue
                where |= {work: array.job for batch in array.batches for work in batch}
                rest = rest[size:]
                size = min(size, len(rest))
            self.backlog += sum(map(len, rest))

    def probes(self, batches: Sequence[Batch]) -> None:
        """Submit a canary; what is submitted afterwards waits for all of its jobs to succeed.

        Raises:
            AblationError: SLURM refuses for another reason than a limit on the number of jobs.
        """
        if not batches:
            return
        try:
            array = self._array(batches, ArrayDraft(tuple(batches), self.view.options.room, 0), [], canary=True)
            self.first = array.job
        except sbatch.Full as e:
            self.refusal = str(e)

    def _needed(self, batches: Sequence[Batch], where: dict[Work, str]) -> list[str]:
        """The jobs that train these works' teachers."""
        of = [t for batch in batches for work in batch for t in teachers(self.view.submission, work)]
        return sorted({where[t] for t in of if t in where})

    def _array(self, batches: Sequence[Batch], draft: ArrayDraft, after: list[str], canary: bool = False) -> Array:
        submission, options = self.view.submission, self.view.options
        number = 1 + max((a.number for a in [*self.view.arrays, *self.arrays]), default=0)
        name = store.name(submission, str(number))
        array = Array(number, name, tuple(batches), draft.room, tuple(self.supersede), time=time.time(), canary=canary)
        store.write(submission.folder, array)
        depends = [f"afterok:{self.first}"] if self.first else []
        depends += [f"afterany:{':'.join(after)}"] if after else []
        flags = {
            **options.flags(draft.room),
            "array": f"0-{len(batches) - 1}{f'%{options.parallel}' if options.parallel else ''}",
            "signal": f"USR2@{options.grace}",
            "requeue": True,
            **({"dependency": ",".join(depends), "kill-on-invalid-dep": "yes"} if depends else {}),
        }
        module = [submission.entries[entry.JOB], str(submission.folder), str(number)]
        array = self._numbered(array, module, flags)
        self.arrays.append(array)
        return array

    def _numbered(self, array: Array, module: Sequence[str], flags: dict[str, object]) -> Array:
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
        except sbatch.Full:
            store.forget(submission.folder, array.number)
            raise
        except sbatch.Unsure as e:
            found = adopt(submission.folder, array, since=array.time)
            if found.job == LOST:
                raise AblationError(f"sbatch: {e}") from e
            return found
        found = replace(array, job=job)
        store.write(submission.folder, found)
        return found
