"""Rounds, in which a submission gets on: read how every trial stands, decide, and submit what is to be tried.

A round is made by whoever comes, one at a time: the launcher, the keeper's job, `wait=true` or a verb. `Rounds` makes
them again and again while somebody looks on; `report_lines` is what people read of one.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from filelock import FileLock, Timeout

from ablation.errors import AblationError, ConfigError
from ablation.store.file_errors import in_words
from launch.compose.errors import plural
from launch.compose.naming import few, grouped
from launch.compose.overrides import verb_command
from launch.slurm import commands, job_batches, records
from launch.slurm.job_batches import CanaryState, draft_arrays, stages
from launch.slurm.keeper import Keeper, dismiss
from launch.slurm.sbatch import JOBS
from launch.slurm.state import SubmissionView
from launch.slurm.submitter import Submitter
from launch.slurm.triage import Triage, reset, triage
from launch.status.retry_policy import RETRY
from launch.sweep.submission import Submission, load

PAUSE = 15.0  # seconds between two rounds, since SLURM is asked gently, or
_PAUSE_FACTOR = 10  # so many times as long as a round takes, or
_GROWTH = 2  # so many times the last pause, while SLURM cannot be asked
_TRIES = 5  # in a row to make a round, after which a person is told that SLURM cannot be asked
_REASONS = 5  # that are told at once of one thing that happened
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
    again: tuple[str, ...] = ()  # labels of trials whose failures count no more, since this round was asked to
    taken_over: int = 0  # left to later submissions, which ask for them too
    later: tuple[Path, ...] = ()  # the folders of these, as far as they are of the same launcher
    refused: dict[str, str] = field(default_factory=dict)  # SLURM did not take them; by label: its words
    retried: dict[str, str] = field(default_factory=dict)  # by label: the cause
    jobs: tuple[str, ...] = ()  # SLURM's numbers of the arrays submitted in this round
    notes: tuple[str, ...] = ()
    unit: str = "trials"  # what the numbers count
    names: Mapping[str, str] = field(default_factory=dict)  # what people call its arms, by id

    @property
    def over(self) -> bool:
        """Nothing more will happen."""
        return not (self.in_queue or self.owned_by_other or self.not_submitted or self.refused)

    def require_accepted(self) -> None:
        """Tell in SLURM's own words if it took nothing at all.

        Raises:
            ConfigError: so it is, and nothing of the submission is in the queue.
        """
        if self.refused and not (self.in_queue or self.owned_by_other):
            words = "; ".join(sorted(set(self.refused.values())))
            who = re.search(r"\b(qos|account|association)\b", words, re.IGNORECASE)
            shown = "`sacctmgr show assoc user=$USER`" if who else "`sinfo`"
            raise ConfigError(
                f"SLURM takes none of these jobs: {words}\nchange hydra.launcher.resources to what {shown} shows, and "
                "submit the sweep again: what is done is kept"
            )


def newest_array(folder: Path) -> int:
    """The number of the newest array of jobs: what somebody has seen who then asks to try trials again."""
    return max(records.array_numbers(folder), default=0)


def make_rounds(folder: Path, me: str = "") -> Iterator[tuple[Path, RoundReport]]:
    """One round of a submission, then one of each later submission that asks for the same.

    Who typed that one may have died before it was submitted. Arguments and errors are those of `make_round`.
    """
    report = make_round(folder, me=me)
    yield folder, report
    for later in report.later:
        yield later, make_round(later)


def make_round(folder: Path, again: Collection[str] = (), seen: int | None = None, me: str = "") -> RoundReport:
    """Make one round of a submission.

    `again`: labels of trials to try again although they were given up, unless an array newer than `seen` has them: then
    somebody else's request was faster, and one retry is meant. `me`: the SLURM job we are, if it is the keeper.

    Raises:
        AblationError: SLURM cannot be asked; nothing is lost, a later round goes on.
    """
    (folder / JOBS).mkdir(exist_ok=True)
    with _lock(folder):
        view = SubmissionView(folder)
        forgiven = reset(view, again, seen) if again else []
        canary = job_batches.canary_state(view, retried=bool(forgiven))
        found = triage(view, records.read_decisions(folder), canary.failure)
        records.append_decisions(folder, found.decisions)
        labels = tuple(f"{work.id}/seed-{seed}" for work in forgiven for seed in work.seeds)
        return replace(_submit(view, found, canary, me), again=labels)


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
    records.append_decisions(view.submission.folder, submitter.refused)
    submitted = sum(len(batch) for a in submitter.arrays for batch in a.batches if not a.canary)
    report = RoundReport(
        done=len(found.done),
        in_queue=len(found.in_queue) + submitted,
        owned_by_other=len(found.owned_by_other),
        not_submitted=submitter.not_submitted,
        given_up={work.label: reason for work, reason in found.given_up.items()},
        taken_over=len(found.taken_over),
        later=view.later_folders(found.taken_over),
        refused={decision.work.label: decision.reason for decision in submitter.refused},
        retried={v.work.label: v.cause for v in found.decisions if v.decision == RETRY},
        jobs=tuple(a.job for a in submitter.arrays),
        unit=_unit(view.submission),
        names=view.submission.names.short,
    )
    if keeper.job and report.refused and not (report.in_queue or report.owned_by_other or report.not_submitted):
        keeper.cancel()
    elif keeper.job:
        arrays = {*view.arrays_in_queue, *(a.job for a in submitter.arrays)}
        keeper.follow(sorted(arrays), any_of_them=bool(submitter.not_submitted))
    notes = [keeper.trouble, *submitter.notes, _note_on_limit(submitter, report.unit), _release(view, found)]
    return replace(report, notes=tuple(filter(None, notes)))


def _release(view: SubmissionView, found: Triage) -> str:
    """Let SLURM try again to start jobs which it has put aside; what it says of them if that may be in vain."""
    jobs = sorted({view.assignments[work].job for work in found.in_queue})
    stuck = [job for job in jobs if view.stuck(job)]
    if not stuck:
        return ""
    held = f"SLURM could not start jobs {', '.join(stuck)} and held them"
    trouble = commands.release_jobs(stuck)
    return f"{held}, and does not let them go ({trouble})" if trouble else f"{held}; they are released"


def _unit(submission: Submission) -> str:
    return "trials and fused arms" if any(len(work.seeds) > 1 for work in submission.works) else "trials"


def _note_on_limit(submitter: Submitter, unit: str) -> str:
    if not submitter.not_submitted:
        return ""
    wait = f"{submitter.not_submitted} of the {unit} can be submitted only later"
    return f"{wait}, since SLURM takes no more jobs for now ({submitter.limit})"


def report_lines(report: RoundReport) -> list[str]:
    """How the sweep stands, one fact a line."""
    counts = {
        "done": report.done,
        "in jobs": report.in_queue,
        "trained elsewhere": report.owned_by_other,
        "not submitted yet": report.not_submitted,
        "refused by SLURM": len(report.refused),
        "given up": len(report.given_up),
        "left to a later submission": report.taken_over,
    }
    standing = ", ".join(f"{n} {what}" for what, n in counts.items() if n)
    lines = [f"{report.unit}: {standing}" if standing else "nothing to do"]
    lines += _lines(report.names, report.retried, "tried again after ")
    lines += _lines(report.names, report.refused, "refused by SLURM: ")
    lines += _lines(report.names, report.given_up, "given up: ")
    lines += [f"submitted as SLURM jobs {', '.join(report.jobs)}"] if report.jobs else []
    return lines + [f"note: {note}" for note in report.notes]


def _lines(names: Mapping[str, str], by_label: Mapping[str, str], what: str) -> list[str]:
    """A line a reason. A full disk gives each trial one of its own, with a path, and so not all of them are told."""
    named = ((_name(names, label), text) for label, text in by_label.items())
    reasons = [f"{few(own)}: {what}{text}" for text, own in grouped(named).items()]
    left = len(reasons) - _REASONS
    more = f"and {plural(left, 'more reason')}: `ablation logs --failed` has them all"
    return reasons[:_REASONS] + [more] * (left > 0)


def _name(names: Mapping[str, str], label: str) -> str:
    """As in the tables: `mixup seed 0`, which has the label `5be9c8134f7a0b12/seed-0`."""
    id_, _, seeds = label.partition("/seed-")
    return f"{names[id_]} seed {seeds.replace('+', ', ')}" if id_ in names else label


def next_commands(submission: Submission) -> list[str]:
    """The commands for a sweep that is left to the cluster."""
    return [
        f"look       {verb_command(f'watch {submission.name}', submission.out)}",
        f"stop       {verb_command(f'cancel {submission.name}', submission.out)}",
        f"try again  {verb_command(f'retry {submission.name}', submission.out)}",
    ]


class Rounds:
    """The rounds of these submissions while somebody looks on; `print_line` gets what happens, in each round."""

    def __init__(self, submissions: Sequence[Submission], print_line: Callable[[str], None]) -> None:
        self._open, self._print_line = [submission.folder for submission in submissions], print_line
        self._names = {id_: name for submission in submissions for id_, name in submission.names.short.items()}
        self._known = set(self._open)
        self._followed = set[Path]()  # those that were not over at first, so that SLURM has been asked anyway
        self._due, self._failures = 0.0, 0
        self.trouble = ""  # why no more rounds are made although something is left to judge

    def over(self) -> bool:
        """Whether nothing is left to judge, or nothing can be."""
        return not self._open or bool(self.trouble)

    def make_due(self) -> None:
        """Make a round of each, if it is due. If SLURM cannot be asked, it is asked again later, but not for ever."""
        began = time.monotonic()
        if self.over() or began < self._due:
            return
        trouble, reports = "", list[RoundReport]()
        for folder in list(self._open):
            try:
                reports.append(make_round(folder))
            except (AblationError, OSError) as e:
                trouble = in_words(e)
                self._print_line(f"warning: {trouble}; it is tried again")
                continue
            if reports[-1].over:
                self._open.remove(folder)
                self._dismiss(folder)
            self._followed.add(folder)
            self._open += [later for later in reports[-1].later if later not in self._known]
            self._known.update(reports[-1].later)
        self._tell(reports)
        self._failures = self._failures + 1 if trouble else 0
        if self._failures == _TRIES:
            self.trouble = f"no round could be made {_TRIES} times in a row: {trouble}"
        now = time.monotonic()
        self._due = now + max(PAUSE * _GROWTH**self._failures, _PAUSE_FACTOR * (now - began))

    def _tell(self, reports: Sequence[RoundReport]) -> None:
        """Say what happened, of all submissions at once: a sweep may have twenty, and a full disk stops them all."""
        retried = {label: cause for report in reports for label, cause in report.retried.items()}
        refused = {label: words for report in reports for label, words in report.refused.items()}
        given_up = {label: why for report in reports for label, why in report.given_up.items()}
        for line in (
            *_lines(self._names, retried, "tried again after "),
            *_lines(self._names, refused, "refused by SLURM, which is asked again: "),
            *_lines(self._names, given_up, "given up: "),
            *dict.fromkeys(f"note: {note}" for report in reports for note in report.notes),
        ):
            self._print_line(line)

    def _dismiss(self, folder: Path) -> None:
        """Take back a keeper that SLURM has put aside, so that it does not wait for ever in the queue."""
        if folder in self._followed:
            with suppress(AblationError):  # `ablation cancel` does it as well
                dismiss(load(folder), me="")
