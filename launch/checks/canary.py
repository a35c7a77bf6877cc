"""`canary=true`: a few steps of every distinct shape before the trials. What breaks at once breaks once, not in each.

Here is which trials are probed and what follows if one fails; the local launcher and SLURM run the probes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ablation.store.result import look
from ablation.trial.teacher import ready
from launch.checks.cost import cost_signature
from launch.compose.arm import Work
from launch.status.outcome import HELD, NOT_STARTED, Outcome, Outcomes, TrialKey, done_outcome
from launch.sweep.launcher_options import truth
from launch.sweep.submission import Submission

_STOPPED = ("stopped", NOT_STARTED)


def is_requested(options: Mapping[str, Any]) -> bool:
    """Whether the launcher's options ask for a canary.

    Raises:
        ConfigError: neither true nor false.
    """
    return truth(options, "canary")


def works_to_probe(submission: Submission) -> list[Work]:
    """One trial of each shape among those that are not done; students only whose teacher is done."""
    chosen: dict[str, Work] = {}
    for work in submission.works:
        planned, seed = submission.arms[work.id], work.seeds[0]
        if _result(submission, work.id, seed):
            continue
        if planned.teacher and ready(submission.out, planned.teacher, seed).state != "done":
            continue
        chosen.setdefault(cost_signature(planned.config), Work(work.id, (seed,)))
    return list(chosen.values())


def failed_outcomes(
    submission: Submission, probe: Callable[[list[Work]], Mapping[TrialKey, Outcome]]
) -> dict[Work, Outcomes]:
    """Try the canaries with `probe`; nothing if all is well, else what becomes of every work of the sweep."""
    tried = probe(works_to_probe(submission))
    failed = {trial: outcome for trial, outcome in tried.items() if outcome.state != "done"}
    if not failed:
        return {}
    stopped = any(outcome.state in _STOPPED for outcome in failed.values())
    rest = Outcome(NOT_STARTED) if stopped else Outcome(HELD, message="a canary failed")
    return {work: {s: _outcome(submission, work.id, s, failed, rest) for s in work.seeds} for work in submission.works}


def _outcome(submission: Submission, arm: str, seed: int, failed: Mapping[TrialKey, Outcome], rest: Outcome) -> Outcome:
    result = _result(submission, arm, seed)
    found = done_outcome(result) if result else failed.get((arm, seed), rest)
    return Outcome(NOT_STARTED) if found.state == "stopped" else found  # of a probe nothing is kept


def _result(submission: Submission, arm: str, seed: int) -> dict[str, Any] | None:
    result = look(submission.out / arm / f"seed-{seed}")
    return result if isinstance(result, dict) else None
