"""One round: look at every trial, and submit what is to be tried. Made by whoever comes; one at a time."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from ablation.errors import AblationError
from launch.slurm import canary, commands, verdicts
from launch.slurm.batches import cut, stages
from launch.slurm.canary import Canary
from launch.slurm.keeper import Keeper
from launch.slurm.submitter import JOBS, HandIn
from launch.slurm.triage import Judgement, judge
from launch.slurm.verdicts import FORGIVE, Verdict
from launch.slurm.view import View

_LOCK = "lock"
_PATIENCE = 300.0  # seconds to wait for a round that somebody else makes


@dataclass(frozen=True)
class Report:
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


def perform(folder: Path, again: Collection[str] = (), me: str = "") -> Report:
    """Make a round of a submission.

    `again`: labels of trials to try again although they were given up. `me`: the SLURM job we are, if it is the keeper.

    Raises:
        AblationError: SLURM cannot be asked, or refuses; nothing is lost, a later round goes on.
    """
    (folder / JOBS).mkdir(exist_ok=True)
    with _turn(folder):
        view = View(folder)
        if again:
            _forgive(view, again)
        tried = canary.look(view, forgiven=bool(again))
        judgement = judge(view, verdicts.read(folder), tried.failure)
        verdicts.append(folder, judgement.verdicts)
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


def _forgive(view: View, again: Collection[str]) -> None:
    """Forget these trials' failures."""
    places, wanted = view.places, set(again)
    verdicts.append(
        view.submission.folder,
        [
            Verdict(work, FORGIVE, array=places[work].array.number)
            for work in view.submission.works
            if work in places and wanted & {work.label, *(f"{work.id}/seed-{seed}" for seed in work.seeds)}
        ],
    )


def _submit(view: View, judged: Judgement, tried: Canary, me: str) -> Report:
    hand_in = HandIn(view, sorted(judged.supersede), first=tried.waiting)
    keeper = Keeper(view)
    expected = bool(judged.todo or judged.flying or judged.elsewhere)
    if expected and view.options.keeper:
        keeper = Keeper.hire(view, me)
    if judged.todo and tried.missing:
        hand_in.probes(canary.batches(view))
    unfinished = {*judged.todo, *judged.flying}
    depth = stages(view.submission, [work for work in view.submission.works if work in unfinished])
    hand_in.submit(cut(judged.todo, depth, view.options, commands.max_array_size()) if judged.todo else [])
    flying = {view.places[work].array.job for work in judged.flying}
    keeper.follow(sorted({*flying, *(a.job for a in hand_in.arrays)}), any_of_them=bool(hand_in.backlog))
    submitted = sum(len(batch) for a in hand_in.arrays for batch in a.batches if not a.canary)
    return Report(
        done=len(judged.done),
        flying=len(judged.flying) + submitted,
        elsewhere=len(judged.elsewhere),
        backlog=hand_in.backlog,
        given_up={work.label: reason for work, reason in judged.given_up.items()},
        retried={v.work.label: v.cause for v in judged.verdicts if v.decision == verdicts.RETRY},
        jobs=tuple(a.job for a in hand_in.arrays),
        notes=tuple(filter(None, [keeper.trouble, _limit(hand_in)])),
    )


def _limit(hand_in: HandIn) -> str:
    if not hand_in.backlog:
        return ""
    return f"{hand_in.backlog} are not submitted yet, SLURM takes no more jobs for now ({hand_in.refusal})"
