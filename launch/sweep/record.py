"""Bringing a submission's trials to MLflow, where its jobs could not do so themselves.

A tracker in an SQLite file does not bear many nodes writing to it through a network file system. Jobs then leave it
alone, and whoever makes the next round uploads. With a server the jobs upload live.
"""

from __future__ import annotations

from pathlib import Path

from ablation.errors import AblationError
from ablation.store import attempt
from ablation.track.ready import database
from launch.sweep.submission import Submission, Work
from launch.sweep.upload import sync, tracker


def offline(submission: Submission) -> bool:
    """Whether the jobs of this submission are to leave MLflow alone."""
    return any(_database(submission, arm) for arm in submission.arms)


def upload(submission: Submission) -> list[str]:
    """Upload what the files have and the databases lack; returns what went wrong, which later calls make good."""
    trouble = []
    by_uri: dict[str, list[Path]] = {}
    for work in submission.works:
        if uri := _database(submission, work.id):
            by_uri.setdefault(uri, []).extend(_begun(submission, work))
    for uri, folders in by_uri.items():
        try:
            trouble += [str(o) for o in sync(submission.out, uri, folders) if o.error]
        except AblationError as e:
            trouble.append(str(e))
    return trouble


def _database(submission: Submission, arm: str) -> str:
    """The URI of an arm's SQLite file, absolute; empty for other trackers and none."""
    uri = tracker(submission.arms[arm].config, submission.cwd)
    return uri if database(uri) else ""


def _begun(submission: Submission, work: Work) -> list[Path]:
    folders = [submission.out / work.id / f"seed-{seed}" for seed in work.seeds]
    return [folder for folder in folders if attempt.latest(folder)]
