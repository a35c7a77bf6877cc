"""The one screen at the end of a sweep: every arm's accuracy over its seeds, what failed and why, and where to look."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence

from rich.console import Console

from ablation.track.ready import where_to_look
from launch.compose.overrides import verb_command
from launch.status.outcome import Outcome, TrialKey
from launch.status.trial_status import done_at, format_ago
from launch.sweep.submission import Submission
from launch.terminal import arm_table
from launch.terminal.sweep_progress import Progress

_COLUMNS = ("arm", "state", "seeds", "test acc")
_REASONS = 8  # kinds of failure that are listed


def show(
    submission: Submission,
    progress: Progress,
    console: Console,
    doubts: Sequence[str] = (),
    own_since: float = math.inf,
) -> None:
    """Print it; on a terminal, of more arms than fit the best ones. `doubts` are about what the numbers mean.

    What was found done when it was looked at first was done before, unless that was later than `own_since` (seconds
    since 1970): then the sweep's own jobs may have done it.
    """
    below = [
        *_failures(submission, progress),
        *(f"note        {d}" for d in doubts),
        *_where_to_look(submission, progress, own_since),
    ]
    rows = [row.row() for row in progress.rows.values()]
    room = max(5, console.height - len(below) - 5) if console.is_terminal else len(rows)
    if len(rows) > room:
        rows = sorted(rows, key=lambda row: -(row.mean or 0.0))[:room]
        every = verb_command(f"status {submission.name}", submission.out)
        below.insert(0, f"the {room} best of {len(progress.rows)} arms; all of them: {every}")
    console.print(progress.heading, style="bold", markup=False, soft_wrap=True)
    console.print(arm_table.table(rows, progress.names, console.width, _COLUMNS, fold=True))
    for line in below:
        console.print(line, markup=False, soft_wrap=True)


def _failures(submission: Submission, progress: Progress) -> Iterator[str]:
    """One line a kind of failure: how many, why, and one to look at."""
    groups: dict[tuple[str, str], list[tuple[TrialKey, Outcome]]] = {}
    for arm, row in progress.rows.items():
        for seed, outcome in row.outcomes.items():
            if outcome.state in ("failed", "blocked"):
                groups.setdefault(_kind(outcome), []).append(((arm, seed), outcome))
    ordered = sorted(groups.values(), key=len, reverse=True)
    if ordered:
        every = verb_command(f"logs --failed {submission.name}", submission.out)
        yield f"failures (all of them, with their traces: {every})"
    for group in ordered[:_REASONS]:
        (arm, seed), outcome = group[0]
        message = " ".join(outcome.message.split())
        yield f"  {len(group)} x {outcome.cause or outcome.state}: {message[:300]}; such as {arm}/seed-{seed}"
    if len(ordered) > _REASONS:
        yield f"  and {sum(map(len, ordered[_REASONS:]))} of {len(ordered) - _REASONS} other kinds"


def _kind(outcome: Outcome) -> tuple[str, str]:
    """The same for failures that differ in numbers, places and names of trials alone."""
    return outcome.cause or outcome.state, re.sub(r"\S*/\S+|[0-9a-f]{16}|\d+(\.\d+)?", "#", outcome.message)


def _where_to_look(submission: Submission, progress: Progress, own_since: float) -> Iterator[str]:
    """The totals, and where the runs, the logs and the tracker are."""
    yield f"trials      {progress.tally}"
    yield from _done_before(submission, progress, own_since)
    yield f"run folders {_relative(submission)}, logs of the workers {submission.folder / 'logs'}"
    for uri in sorted(_trackers(submission)):
        yield f"compare     {where_to_look(uri)}"


def _done_before(submission: Submission, progress: Progress, own_since: float) -> Iterator[str]:
    """What was done before this run."""
    times = [done_at(submission.out / arm / f"seed-{seed}") for arm, seed in progress.before]
    earlier = [at for at in times if at is not None and at < own_since]
    ago = format_ago(earlier) if earlier else ""
    if earlier and len(earlier) == progress.trials:
        yield f"            already done {ago}; nothing was run"
    elif earlier:
        yield f"            {len(earlier)} of these were done already, the last {ago}, and not run again"


def _relative(submission: Submission) -> str:
    out, cwd = submission.out, submission.cwd
    return str(out.relative_to(cwd) if out.is_relative_to(cwd) else out)


def _trackers(submission: Submission) -> set[str]:
    tracks: list[Mapping[str, Mapping[str, str]]] = [p.config["track"] for p in submission.arms.values()]
    return {track["mlflow"]["uri"] for track in tracks if "mlflow" in track}
