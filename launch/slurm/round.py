"""One round: look at every trial, and submit what is to be tried. Made by whoever comes; one at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from ablation.errors import AblationError
from launch.compose.overrides import verb_command
from launch.slurm import batches, commands, store
from launch.slurm.batches import Canary, cut, stages
from launch.slurm.keeper import Keeper
from launch.slurm.submitter import JOBS, Submitter
from launch.slurm.triage import Triage, triage
from launch.slurm.view import SubmissionView
from launch.status.retry_policy import RESET, RETRY, Decision
from launch.sweep.submission import Submission

_LOCK = "lock"
_PATIENCE = 300.0  # seconds to wait for a round that somebody else makes


@dataclass(frozen=True)
class RoundReport:
    """How a submission stands after a round, in works (a work is a trial, or all seeds of an arm that is fused)."""

    done: int
    flying: int  # in a job that waits or runs
    elsewhere: int  # trained by somebody else
    backlog: int  # not submitted for now
    given_up: dict[str, str]  # by label: why
    retried: dict[str, str] = field(default_factory=dict)  # by label: the cause
    jobs: tuple[str, ...] = ()  # SLURM's numbers of the arrays submitted in this round
    notes: tuple[str, ...] = ()

    @property
    def over(self) -> bool:
        """Nothing more will happen."""
        return not (self.flying or self.elsewhere or self.backlog)


def perform(folder: Path, again: Collection[str] = (), me: str = "") -> RoundReport:
    """Make a round of a submission.

    `again`: labels of trials to try again although they were given up. `me`: the SLURM job we are, if it is the keeper.

    Raises:
        AblationError: SLURM cannot be asked, or refuses; nothing is lost, a later round goes on.
    """
    (folder / JOBS).mkdir(exist_ok=True)
    with _turn(folder):
        view = SubmissionView(folder)
        if again:
            _forgive(view, again)
        tried = batches.look_at_canary(view, forgiven=bool(again))
        judgement = triage(view, store.read_decisions(folder), tried.failure)
        store.append_decisions(folder, judgement.verdicts)
        return _submit(view, judgement, tried, me)


@contextmanager
def _turn(folder: Path) -> Iterator[None]:
    """One round at a time.

    Raises:
        AblationError: somebody else's takes too long.
    """
    lock = FileLock(folder / _LOCK, timeout=_PATIENCE)
    try:
        lock.acquire()
    except Timeout as e:
        raise AblationError(
            f"{folder}: another process has been making its round for {_PATIENCE:.0f} s; if none is alive, "
            f"remove {folder / _LOCK}"
        ) from e
    try:
        yield
    finally:
        lock.release()


def _forgive(view: SubmissionView, again: Collection[str]) -> None:
    """Forget these trials' failures."""
    places, wanted = view.places, set(again)
    store.append_decisions(
        view.submission.folder,
        [
            Decision(work, RESET, array=places[work].array.number)
            for work in view.submission.works
            if work in places and wanted & {work.label, *(f"{work.id}/seed-{seed}" for seed in work.seeds)}
        ],
    )


def _submit(view: SubmissionView, judged: Triage, tried: Canary, me: str) -> RoundReport:
    hand_in = Submitter(view, sorted(judged.supersede), first=tried.waiting)
    keeper = Keeper(view)
    expected = bool(judged.todo or judged.flying or judged.elsewhere)
    if expected and view.options.keeper:
        keeper = Keeper.hire(view, me)
    if judged.todo and tried.missing:
        hand_in.probes(batches.canary_batches(view))
    unfinished = {*judged.todo, *judged.flying}
    depth = stages(view.submission, [work for work in view.submission.works if work in unfinished])
    hand_in.submit(cut(judged.todo, depth, view.options, commands.max_array_size()) if judged.todo else [])
    flying = {view.places[work].array.job for work in judged.flying}
    keeper.follow(sorted({*flying, *(a.job for a in hand_in.arrays)}), any_of_them=bool(hand_in.backlog))
    submitted = sum(len(batch) for a in hand_in.arrays for batch in a.batches if not a.canary)
    return RoundReport(
        done=len(judged.done),
        flying=len(judged.flying) + submitted,
        elsewhere=len(judged.elsewhere),
        backlog=hand_in.backlog,
        given_up={work.label: reason for work, reason in judged.given_up.items()},
        retried={v.work.label: v.cause for v in judged.verdicts if v.decision == RETRY},
        jobs=tuple(a.job for a in hand_in.arrays),
        notes=tuple(filter(None, [keeper.trouble, _limit(hand_in)])),
    )


def _limit(hand_in: Submitter) -> str:
    if not hand_in.backlog:
        return ""
    return f"{hand_in.backlog} are not submitted yet, SLURM takes no more jobs for now ({hand_in.refusal})"


PAUSE = 15.0  # seconds between two rounds, since SLURM is asked gently, or
_REST = 10  # so many times as long as a round takes


class Rounds:
    """Of these submissions; `tell` is told what happens, once."""

    def __init__(self, folders: Iterable[Path], tell: Callable[[str], None]) -> None:
        self._open, self._tell = list(folders), tell
        self._due, self._told = 0.0, set[str]()

    def over(self) -> bool:
        """Whether nothing is left to judge."""
        return not self._open

    def make(self) -> None:
        """Make one if it is due. SLURM that cannot be asked is asked again at the next."""
        began = time.monotonic()
        if not self._open or began < self._due:
            return
        for folder in list(self._open):
            try:
                report = perform(folder)
            except AblationError as e:
                self._say(f"warning: {e}")
                continue
            for label, cause in report.retried.items():
                self._say(f"{label}: {cause}, is tried again")
            if report.over:
                self._open.remove(folder)
        now = time.monotonic()
        self._due = now + max(PAUSE, _REST * (now - began))

    def _say(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self._tell(text)


def report_lines(report: RoundReport) -> list[str]:
    """How the sweep stands, one fact a line."""
    counts = {
        "done": report.done,
        "in jobs": report.flying,
        "trained elsewhere": report.elsewhere,
        "not submitted yet": report.backlog,
        "given up": len(report.given_up),
    }
    said = [", ".join(f"{n} {what}" for what, n in counts.items() if n) or "nothing to do"]
    said += [f"{label}: {cause}, is tried again" for label, cause in report.retried.items()]
    said += [f"{label}: given up, {reason}" for label, reason in report.given_up.items()]
    said += [f"SLURM jobs {', '.join(report.jobs)}"] if report.jobs else []
    return said + [f"note: {note}" for note in report.notes]


def next_commands(submission: Submission) -> list[str]:
    """How to come back to a sweep that is left to the cluster."""
    return [
        f"look       {verb_command(f'watch {submission.name}', submission.out)}",
        f"stop       {verb_command(f'cancel {submission.name}', submission.out)}",
        f"try again  {verb_command(f'retry {submission.name}', submission.out)}",
    ]
