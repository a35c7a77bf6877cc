"""Worker processes on this machine, as verbs see them (`launch.backends.Backend`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.console import Console

from launch.backends import Retried, Rounds
from launch.status import outcome
from launch.status.sweep_status import Pending, Trial
from launch.sweep.submission import Submission
from launch.workers import driver


class NoRounds:
    """The driver does it all."""

    trouble = ""

    def make_due(self) -> None:
        """Nothing."""

    def over(self) -> bool:
        """Nothing is left to do for others."""
        return True


def newest(submission: Submission) -> int:
    """There is no number: each trial counts its own attempts."""
    return 0


def pending(submissions: Sequence[Submission]) -> Pending:
    """What the drivers that live will start."""
    return Pending(awaited={key for submission in submissions for key in driver.pending(submission).awaited})


def cancel(submission: Submission) -> list[str]:
    """The workers see the markers themselves."""
    return []


def strays(submission: Submission) -> list[str]:
    """There are none: what a driver starts ends with it."""
    return []


def retry(submission: Submission, trials: Sequence[Trial], seen: int, console: Console) -> Retried:
    """Train them here and now.

    Raises:
        AblationError: workers cannot be started, or another process trains them.
    """
    from launch.workers import local  # only now: status wants none of what trains

    outcomes = local.resume(submission, trials, console)
    return Retried(outcome.exit_code(outcomes), outcomes=outcomes)


def rounds(submissions: Sequence[Submission], print_line: Callable[[str], None]) -> Rounds:
    """None are needed."""
    return NoRounds()


def upload(submission: Submission) -> list[str]:
    """Workers upload what they train."""
    return []
