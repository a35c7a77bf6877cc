"""What people are told of a round."""

from __future__ import annotations

from launch.compose.hint import ablation
from launch.slurm.round import Report
from launch.sweep.submission import Submission


def lines(report: Report) -> list[str]:
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


def farewell(submission: Submission) -> list[str]:
    """How to come back to a sweep that is left to the cluster."""
    return [
        f"look       {ablation(f'watch {submission.name}', submission.out)}",
        f"stop       {ablation(f'cancel {submission.name}', submission.out)}",
        f"try again  {ablation(f'retry {submission.name}', submission.out)}",
    ]
