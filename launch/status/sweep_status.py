"""How a whole sweep stands: each of its trials, and whether someone is about to start those that nobody trains."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from ablation.store.file_errors import in_words
from launch.compose.arm import Planned, full_names
from launch.status import trial_status
from launch.status.outcome import NOT_STARTED, Outcome, TrialKey
from launch.status.retry_policy import HOLD, REFUSED, RESET, RETRY, STOP, Decision
from launch.status.trial_status import TrialStatus
from launch.sweep import arm_commands
from launch.sweep.earlier_arms import stale
from launch.sweep.submission import Submission

_WAITING = ("new", "stopped")  # what a driver may still start
_UNSETTLED = (*_WAITING, "failed")  # only of these it matters what is still to come
_ENDED = ("failed", "blocked", "cancelled")  # what a student's teacher must not be
UNREADABLE = "unreadable"  # the cause of one whose files are another user's, or on a disk that fails


class Trial(NamedTuple):
    """One trial of a sweep."""

    planned: Planned
    seed: int
    folder: Path  # the seed's
    state: TrialStatus
    stale: str = ""  # the same command gave another arm in a later submission: what had changed
    given_up: bool = False  # it failed, and it was decided that it is not tried again

    @property
    def label(self) -> str:
        """For people, and as `--id` takes it."""
        return f"{self.planned.arm.id}/seed-{self.seed}"


@dataclass
class Pending:
    """What is still to come of a sweep's submissions, as their drivers or SLURM say now; see `launch.backends`."""

    awaited: set[TrialKey] = field(default_factory=set)  # somebody will start them if they are not done by then
    waiting: set[TrialKey] = field(default_factory=set)  # these whatever went wrong before: their job is put back
    decisions: dict[TrialKey, Decision] = field(default_factory=dict)  # on those that did not finish
    trouble: list[str] = field(default_factory=list)  # why something could not be found out


# Asked only if it matters: of trials that are all done, or on their way here, files say everything.
AskPending = Callable[[], Pending]


class SweepStatus(NamedTuple):
    """All trials of a sweep."""

    trials: list[Trial]
    trouble: list[str]  # what could not be found out, and why


def sweep_status(submissions: Sequence[Submission], ask: AskPending) -> SweepStatus:
    """Every trial that the submissions (oldest first) asked for: the newest one's arms in grid order, then earlier."""
    arms: dict[str, Planned] = {}
    seeds: dict[str, dict[int, None]] = {}
    for submission in reversed(submissions):
        for id_, planned in submission.arms.items():
            arms.setdefault(id_, planned)
            seeds.setdefault(id_, {}).update(dict.fromkeys(planned.seeds))
    wanted = [(arms[id_], seed) for id_ in arms for seed in sorted(seeds[id_])]
    status = trial_statuses(submissions[-1].out, wanted, ask)
    changed = _stale(submissions[-1].out, list(arms.values())) if len(submissions) > 1 else {}
    return status._replace(trials=[t._replace(stale=changed.get(t.planned.arm.id, "")) for t in status.trials])


def trial_statuses(
    out: Path, wanted: Iterable[tuple[Planned, int]], ask: AskPending, write: bool = True
) -> SweepStatus:
    """How trials stand that no submission need have asked for: arms with seeds. `write`: see `attempt.live`."""
    trials = [_trial(out, planned, seed, write) for planned, seed in wanted]
    pending = ask() if any(t.state.kind in _UNSETTLED for t in trials) else Pending()
    return SweepStatus(_blocked([_with_pending(t, pending) for t in trials], write), pending.trouble)


def outcome_of(t: Trial) -> Outcome:
    """How it stands, in the words of drivers."""
    kind = NOT_STARTED if t.state.kind == "new" else t.state.kind
    return Outcome(kind, t.state.cause, t.state.message, t.state.test_acc)


def narrow_submission(submission: Submission, trials: Sequence[Trial]) -> Submission:
    """The submission as if it had asked for these trials only, to run again what is left of it; names stay."""
    seeds: dict[str, list[int]] = {}
    for t in trials:
        seeds.setdefault(t.planned.arm.id, []).append(t.seed)
    planned = {t.planned.arm.id: t.planned for t in trials}
    arms = {id_: replace(p, config={**p.config, "seeds": seeds[id_]}) for id_, p in planned.items()}
    return replace(submission, arms=arms, full_names=submission.full_names or full_names(submission.arms.values()))


def _stale(out: Path, planned: Sequence[Planned]) -> dict[str, str]:
    """Of arms, newest first: those whose command gave a newer one, and what has changed, by id."""
    newest: dict[str, Planned] = {}
    pairs = [(p, newest.setdefault(arm_commands.key(command), p)) for p in planned for command in arm_commands.of(p)]
    pairs = [(p, now) for p, now in pairs if p is not now and arm_commands.give(arm_commands.of(p), now)]
    return {p.arm.id: str(stale(out / p.arm.id, p.config, now)) for p, now in pairs}


def _trial(out: Path, planned: Planned, seed: int, write: bool) -> Trial:
    """As its files have it."""
    folder = out / planned.arm.id / f"seed-{seed}"
    return Trial(planned, seed, folder, _status(folder, planned.config["lease"], write))


def _status(folder: Path, lease: float, write: bool) -> TrialStatus:
    """One folder that cannot be read must not hide the others."""
    try:
        return trial_status.of(folder, lease, write)
    except OSError as e:
        return TrialStatus("failed", "damaged" if isinstance(e, NotADirectoryError) else UNREADABLE, in_words(e))


def _with_pending(t: Trial, pending: Pending) -> Trial:
    now, decision = t.state, pending.decisions.get((t.planned.arm.id, t.seed))
    newer = decision.decision if decision is not None and decision.time > now.time else ""
    if now.kind not in _UNSETTLED:
        return t
    t = t._replace(given_up=newer in (STOP, HOLD))
    if (t.planned.arm.id, t.seed) in pending.awaited:
        again = newer in (RETRY, REFUSED, RESET) or (t.planned.arm.id, t.seed) in pending.waiting
        if now.kind in _WAITING or again:
            told = decision if newer or (decision and not decision.time) else None  # no time: no round has judged it
            now = replace(now, kind="queued", cause=told.cause if told else "", message=told.reason if told else "")
    elif decision is not None and (newer == REFUSED or (now.kind in _WAITING and decision.decision in (STOP, HOLD))):
        now = replace(now, kind="failed", cause=decision.cause or decision.decision, message=decision.reason)
    return t._replace(state=now)


def _blocked(trials: Sequence[Trial], write: bool) -> list[Trial]:
    """A student that waits for a teacher of whom nothing more is to be expected is blocked, and so are its own."""
    by_key = {(t.planned.arm.id, t.seed): t for t in trials}

    def judged(t: Trial) -> Trial:
        key = (t.planned.teacher or "", t.seed)
        if t.state.kind not in (*_WAITING, "queued") or not key[0]:
            return t
        if key in by_key:
            teacher = judged(by_key[key]).state
        else:
            teacher = _status(t.folder.parents[1] / key[0] / t.folder.name, t.planned.config["lease"], write)
        if teacher.kind not in _ENDED:
            return t
        how = "has failed" if teacher.kind == "failed" else f"is {teacher.kind}"
        why = f"its teacher {key[0]}/seed-{t.seed} {how}"
        return t._replace(state=replace(t.state, kind="blocked", cause="teacher", message=why))

    return [judged(t) for t in trials]
