"""Rounds, in which a submission gets on: read how every trial stands, decide, and submit what is to be tried.

A round is made by whoever comes, one at a time: the launcher, the keeper's job, `wait=true` or a verb. `Rounds` makes
them again and again while somebody looks on; `report_lines` is what people read of one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from ablation.errors import AblationError
from launch.compose.overrides import verb_command
from launch.slurm import commands, job_batches, records
from launch.slurm.job_batches import CanaryState, draft_arrays, stages
from launch.slurm.keeper import Keeper
from launch.slurm.state import SubmissionView
from launch.slurm.submitter import JOBS, Submitter
from launch.slurm.triage import Triage, triage
from launch.status.retry_policy import RESET, RETRY, Decision
from launch.sweep.submission import Submission

PAUSE = 15.0  # seconds between two rounds, since SLURM is asked gently, or
_PAUSE_FACTOR = 10  # so many times as long as a round takes
_LOCK_FILE = "lock"
_LOCK_SECONDS = 300.0  # to wait for a round that somebody else makes


@dataclass(frozen=True)
class RoundReport:
    """How a submission stands after a round, in works (a work is a trial, or all seeds of an arm that is fused)."""

    done: int
    in_queue: int  # in a job that waits or runs
    owned_by_other: int  # trained by a process that is no job of this submission
    not_submitted: int  # to be tried, but SLURM takes no more jobs for now
    given_up: dict[str, str]  # will not be tried again; by label: why
    retried: dict[str, str] = field(default_factory=dict)  # by label: the cause
    jobs: tuple[str, ...] = ()  # SLURM's numbers of the arrays submitted in this round
    notes: tuple[str, ...] = ()

    @property
    def over(self) -> bool:
        """Nothing more will happen."""
        return not (self.in_queue or self.owned_by_other or self.not_submitted)


def make_round(folder: Path, again: Collection[str] = (), me: str = "") -> RoundReport:
    """Make one round of a submission.

    `again`: labels of trials to try again although they were given up. `me`: the SLURM job we are, if it is the keeper.

    Raises:
        AblationError: SLURM cannot be asked, or refuses; nothing is lost, a later round goes on.
    """
    (folder / JOBS).mkdir(exist_ok=True)
    with _lock(folder):
        view = SubmissionView(folder)
        if again:
            _reset(view, again)
        canary = job_batches.canary_state(view, retried=bool(again))
        found = triage(view, records.read_decisions(folder), canary.failure)
        records.append_decisions(folder, found.decisions)
        return _submit(view, found, canary, me)


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Hold the submission's lock: one round at a time.

    Raises:
        AblationError: somebody else's takes too long.
    """
    lock = FileLock(folder / _LOCK_FILE, timeout=_LOCK_SECONDS)
    try:
        lock.acquire()
    except Timeout as e:
        raise AblationError(
            f"{folder}: another process has been making its round for {_LOCK_SECONDS:.0f} s; if none is alive, "
            f"remove {folder / _LOCK_FILE}"
        ) from e
    try:
        yield
    finally:
        lock.release()


def _reset(view: SubmissionView, again: Collection[str]) -> None:
    """Let these trials' failures count no more."""
    assignments, wanted = view.assignments, set(again)
    records.append_decisions(
        view.submission.folder,
        [
            Decision(work, RESET, array=assignments[work].array.number)
            for work in view.submission.works
            if work in assignments and wanted & {work.label, *(f"{work.id}/seed-{seed}" for seed in work.seeds)}
        ],
    )


def _submit(view: SubmissionView, found: Triage, canary: CanaryState, me: str) -> RoundReport:
    submitter = Submitter(view, sorted(found.supersede), canary_job=canary.waiting)
    keeper = Keeper(view)
    expected = bool(found.todo or found.in_queue or found.owned_by_other)
    if expected and view.options.keeper:
        keeper = Keeper.submit(view, me)
    if found.todo and canary.missing:
        submitter.submit_canary(job_batches.canary_batches(view))
    unfinished = {*found.todo, *found.in_queue}
    depth = stages(view.submission, [work for work in view.submission.works if work in unfinished])
    submitter.submit(draft_arrays(found.todo, depth, view.options, commands.max_array_size()) if found.todo else [])
    keeper.follow(
        sorted({*view.arrays_in_queue, *(a.job for a in submitter.arrays)}), any_of_them=bool(submitter.not_submitted)
    )
    submitted = sum(len(batch) for a in submitter.arrays for batch in a.batches if not a.canary)
    return RoundReport(
        done=len(found.done),
        in_queue=len(found.in_queue) + submitted,
        owned_by_other=len(found.owned_by_other),
        not_submitted=submitter.not_submitted,
        given_up={work.label: reason for work, reason in found.given_up.items()},
        retried={v.work.label: v.cause for v in found.decisions if v.decision == RETRY},
        jobs=tuple(a.job for a in submitter.arrays),
        notes=tuple(filter(None, [keeper.trouble, _note_on_limit(submitter)])),
    )


def _note_on_limit(submitter: Submitter) -> str:
    if not submitter.not_submitted:
        return ""
    return f"{submitter.not_submitted} are not submitted yet, SLURM takes no more jobs for now ({submitter.refusal})"


def report_lines(report: RoundReport) -> list[str]:
    """How the sweep stands, one fact a line."""
    counts = {
        "done": report.done,
        "in jobs": report.in_queue,
        "trained elsewhere": report.owned_by_other,
        "not submitted yet": report.not_submitted,
        "given up": len(report.given_up),
    }
    lines = [", ".join(f"{n} {what}" for what, n in counts.items() if n) or "nothing to do"]
    lines += [f"{label}: {cause}, is tried again" for label, cause in report.retried.items()]
    lines += [f"{label}: given up, {reason}" for label, reason in report.given_up.items()]
    lines += [f"SLURM jobs {', '.join(report.jobs)}"] if report.jobs else []
    return lines + [f"note: {note}" for note in report.notes]


def next_commands(submission: Submission) -> list[str]:
    """The commands for a sweep that is left to the cluster."""
    return [
        f"look       {verb_command(f'watch {submission.name}', submission.out)}",
        f"stop       {verb_command(f'cancel {submission.name}', submission.out)}",
        f"try again  {verb_command(f'retry {submission.name}', submission.out)}",
    ]


class Rounds:
    """The rounds of these submissions while somebody looks on; `print_line` gets each thing that happens once."""

    def __init__(self, folders: Iterable[Path], print_line: Callable[[str], None]) -> None:
        self._open, self._print_line = list(folders), print_line
        self._due, self._printed = 0.0, set[str]()

    def over(self) -> bool:
        """Whether nothing is left to judge."""
        return not self._open

    def make_due(self) -> None:
        """Make a round of each, if it is due. SLURM that cannot be asked is asked again at the next."""
        began = time.monotonic()
        if not self._open or began < self._due:
            return
        for folder in list(self._open):
            try:
                report = make_round(folder)
            except AblationError as e:
                self._print_once(f"warning: {e}")
                continue
            for label, cause in report.retried.items():
                self._print_once(f"{label}: {cause}, is tried again")
            if report.over:
                self._open.remove(folder)
        now = time.monotonic()
        self._due = now + max(PAUSE, _PAUSE_FACTOR * (now - began))

    def _print_once(self, text: str) -> None:
        if text not in self._printed:
            self._printed.add(text)
            self._print_line(text)
