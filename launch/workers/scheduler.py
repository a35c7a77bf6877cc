"""Which work a pool takes next, and what became of each: order, teachers, retries, and what others train already."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from ablation.store import journal
from ablation.store.attempt import CANCEL, Busy, Owner, folder, latest
from ablation.store.claim import refuse_if_held
from ablation.store.result import look
from launch.compose.arm import Work
from launch.status import retry_policy, trial_status
from launch.status.outcome import NOT_STARTED, Event, Outcome, Outcomes, TrialKey, done_outcome
from launch.status.retry_policy import CAUSES, AttemptFailure, Policy, Resources, Retry
from launch.sweep.submission import Submission

_POLL_SECONDS = 2.0  # between two looks at a trial that another process trains


class Scheduler:
    """The works that have no final outcome yet."""

    def __init__(
        self,
        submission: Submission,
        works: Iterable[Work],
        retry: Policy,
        emit: Callable[[Event], None],
        supersede: Collection[str] = (),
        probe: bool = False,
        seen: Mapping[TrialKey, int] | None = None,
    ) -> None:
        """`probe`: every work is taken, whatever is known of it; `seen`: see `Pool`."""
        self.outcomes: dict[TrialKey, Outcome] = {}
        self._submission, self._retry, self._emit, self._supersede = submission, retry, emit, supersede
        self._todo = dict.fromkeys(works, 0.0)  # in order; the time (monotonic) before which it is not taken
        self._open = {(work.id, seed) for work in self._todo for seed in work.seeds}
        self._seen = None if seen is None else {key: seen.get(key, self._newest(key)) for key in self._open}
        self._failures: dict[Work, list[AttemptFailure]] = {}
        self._rooms: dict[Work, Resources] = {}
        self._announced: set[Work] = set()
        self._probe = probe
        if not probe:
            self._skip_done()

    @property
    def over(self) -> bool:
        """Whether every trial has its outcome."""
        return not self._open

    def take(self, pack: int, fits: Callable[[Resources], bool]) -> tuple[Work, Resources] | None:
        """Take the first work that can be trained now, and the room it needs; `pack` is how many share a device."""
        now = time.monotonic()
        for work, due in list(self._todo.items()):
            room = self._rooms.get(work, Resources(pack))
            if due > now or not fits(room) or (self._waits_for_teacher(work) and not self._probe):
                continue
            outcomes = None if self._probe else self._known_outcomes(work)
            if outcomes is None:
                del self._todo[work]
                return work, room
            self.finish(work, outcomes, room)
        return None

    def finish(self, work: Work, outcomes: Outcomes, room: Resources) -> None:
        """Note what became of a work that was taken, or needs no training: it is final, or is tried again later."""
        self._todo.pop(work, None)
        busy = [o.message for o in outcomes.values() if o.state == "busy"]
        failed = [o for o in outcomes.values() if o.state == "failed"]
        if busy:
            self._postpone(work, busy[0])
            return
        if self._seen is not None:
            self._seen |= {(work.id, seed): self._newest((work.id, seed)) for seed in work.seeds}
        if not failed:
            self._finalize(work, outcomes)
        elif reason := self._retry_or_reason(work, failed[0], room):
            explained = {
                s: replace(o, message=f"{o.message} [given up: {reason}]")
                for s, o in outcomes.items()
                if o.state == "failed"
            }
            self._finalize(work, outcomes | (explained if reason != failed[0].cause else {}))

    def finish_all(self, outcome: Outcome) -> None:
        """Take nothing more: this becomes of all that waits."""
        for work in list(self._todo):
            del self._todo[work]
            self._finalize(work, dict.fromkeys(work.seeds, outcome))

    def put_back(self, work: Work) -> None:
        """A work was taken, but never begun."""
        self._todo = {work: 0.0, **self._todo}

    def stop(self) -> None:
        """Take nothing more; what waits was not started."""
        self.finish_all(Outcome(NOT_STARTED))

    def _skip_done(self) -> None:
        """Take out what is done already, so that no worker is started for it."""
        found = {work: outcomes for work in self._todo if (outcomes := self._results(work)) is not None}
        for work, outcomes in found.items():
            del self._todo[work]
            self._record(work, outcomes)
        if found:
            self._emit({"event": "found", "works": found})

    def _results(self, work: Work) -> Outcomes | None:
        """Of a work whose trials are all done. A result that is damaged is left to the worker to report."""
        found = {seed: done for seed in work.seeds if (done := self._done(work, seed)) is not None}
        return found if len(found) == len(work.seeds) else None

    def _done(self, work: Work, seed: int) -> Outcome | None:
        result = look(self._folder(work.id, seed))
        return done_outcome(result) if isinstance(result, dict) else None

    def _waits_for_teacher(self, work: Work) -> bool:
        """Whether it needs a trial of this backlog that is not over."""
        teacher = self._submission.arms[work.id].teacher
        return teacher is not None and any((teacher, seed) in self._open for seed in work.seeds)

    def _known_outcomes(self, work: Work) -> Outcomes | None:
        """What becomes of a work without training it; None: it is to be trained."""
        if (results := self._results(work)) is not None:
            return results
        folders = [self._folder(work.id, seed) for seed in work.seeds]
        if all((f / CANCEL).exists() for f in folders):
            return dict.fromkeys(work.seeds, Outcome("cancelled", message="cancelled before it began"))
        if (missing := self._missing_teacher(work)) is not None:
            return dict.fromkeys(work.seeds, Outcome("blocked", message=missing))
        lease = float(self._submission.arms[work.id].config["lease"])
        try:
            for f in folders:
                refuse_if_held(folder(f, latest(f)), lease, Owner.here(), self._supersede)
        except Busy as e:
            who = e.owner or "another process"
            return dict.fromkeys(
                work.seeds, Outcome("busy", message=f"{who} is training it already, and is waited for")
            )
        return None if self._seen is None else self._failed_meanwhile(work, self._seen)

    def _failed_meanwhile(self, work: Work, seen: Mapping[TrialKey, int]) -> Outcomes | None:
        """If somebody else has tried it since this was asked for, and failed: so it stands, and the policy decides.

        Else each of several shells that ask for the same would try it anew after the one before.
        """
        lease = float(self._submission.arms[work.id].config["lease"])
        for seed in work.seeds:
            now = trial_status.of(self._folder(work.id, seed), lease)
            ended_badly = now.kind == "failed" or now.cause == "killed"
            if ended_badly and now.cause in CAUSES and now.attempts > seen[work.id, seed]:
                failed = Outcome("failed", now.cause, f"{now.message} (tried meanwhile by {now.owner})")
                return {s: self._done(work, s) or failed for s in work.seeds}
        return None

    def _missing_teacher(self, work: Work) -> str | None:
        """The teacher of this backlog that did not get done."""
        teacher = self._submission.arms[work.id].teacher
        for seed in work.seeds:
            outcome = self.outcomes.get((teacher or "", seed))
            if outcome is not None and outcome.state != "done":
                cause = f" ({outcome.cause})" if outcome.cause else ""
                return f"its teacher {teacher}/seed-{seed} is not done: {outcome.state}{cause}"
        return None

    def _postpone(self, work: Work, why: str) -> None:
        self._todo[work] = time.monotonic() + _POLL_SECONDS
        if work not in self._announced:
            self._announced.add(work)
            self._emit({"event": "wait", "work": work, "text": why})

    def _retry_or_reason(self, work: Work, failed: Outcome, room: Resources) -> str:
        """Give it another try, if the policy has one for it; else why not."""
        # Here memory cannot be asked for: alone on its device is the most room that a trial can have.
        failures = self._failures.setdefault(work, [])
        failures.append(AttemptFailure(failed.cause, step=self._saved_step(work), device=True))
        verdict = retry_policy.decide(failures, room, self._retry)
        if not isinstance(verdict, Retry):
            return verdict.reason
        self._rooms[work] = verdict.room
        self._todo[work] = 0.0
        self._emit({"event": "again", "work": work, "text": f"{failed.cause}: {failed.message}; it is tried again"})
        return ""

    def _saved_step(self, work: Work) -> int:
        """The step from which it can go on."""
        events = [e for seed in work.seeds for e in journal.events(self._folder(work.id, seed))]
        return max((e["step"] for e in events if e["event"] == "saved"), default=0)

    def _newest(self, key: TrialKey) -> int:
        """The newest attempt at a trial."""
        return latest(self._folder(*key))

    def _folder(self, id_: str, seed: int) -> Path:
        return self._submission.out / id_ / f"seed-{seed}"

    def _finalize(self, work: Work, outcomes: Outcomes) -> None:
        self._record(work, outcomes)
        self._emit({"event": "end", "work": work, "outcomes": outcomes})

    def _record(self, work: Work, outcomes: Outcomes) -> None:
        self.outcomes |= {(work.id, seed): outcome for seed, outcome in outcomes.items()}
        self._open -= {(work.id, seed) for seed in work.seeds}
