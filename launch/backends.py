"""What is still to come of a sweep, whether it runs on this machine or on SLURM, for whoever wants its status."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from launch.slurm import queue
from launch.slurm.causes import never_ran
from launch.status.sweep_status import AskPending, Pending, SweepStatus, sweep_status
from launch.sweep.submission import Submission
from launch.workers import driver


def pending(submissions: Sequence[Submission]) -> AskPending:
    """What is still to come of the submissions of a sweep (oldest first); asked once, when it is called."""

    @cache
    def ask() -> Pending:
        on_slurm = [s for s in submissions if s.launcher.get("kind") == "slurm"]
        found = queue.pending(on_slurm) if on_slurm else Pending()
        for submission in on_slurm:
            found.decisions |= never_ran(submission)
        for submission in (s for s in submissions if s not in on_slurm):
            found.awaited |= driver.pending(submission).awaited
        return found

    return ask


def status_of(submissions: Sequence[Submission]) -> SweepStatus:
    """How every trial stands that these submissions (oldest first) asked for."""
    return sweep_status(submissions, pending(submissions))
