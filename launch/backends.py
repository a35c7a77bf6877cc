"""What is still to come of a sweep, whether it runs on this machine or on SLURM, for whoever wants its status."""

from __future__ import annotations

from collections.abc import Sequence

from launch.slurm import queue
from launch.status.sweep_status import Pending, SweepStatus, sweep_status
from launch.sweep.submission import Submission
from launch.workers import driver


def pending(submissions: Sequence[Submission]) -> Pending:
    """What is still to come of the submissions of a sweep (oldest first)."""
    found = Pending()
    for submission in submissions:
        part = queue.pending(submission) if submission.launcher.get("kind") == "slurm" else driver.pending(submission)
        found.awaited |= part.awaited
        found.decisions |= part.decisions
        found.trouble += part.trouble
    return found


def status_of(submissions: Sequence[Submission]) -> SweepStatus:
    """How every trial stands that these submissions (oldest first) asked for."""
    return sweep_status(submissions, pending(submissions))
