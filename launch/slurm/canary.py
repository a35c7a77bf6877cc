"""`canary=true`: a few steps of every distinct shape first; SLURM holds the rest until all of them have succeeded."""

from __future__ import annotations

import math
from dataclasses import dataclass

from launch.checks import canary
from launch.slurm import commands, mark
from launch.slurm.batches import Batch
from launch.slurm.store import LOST
from launch.slurm.view import View


@dataclass(frozen=True)
class Canary:
    """How it stands; nothing of it is set if there is none, or all is well."""

    missing: bool = False  # it is to be submitted
    waiting: str = ""  # its job, waiting or running
    failure: str = ""  # what went wrong


def look(view: View, forgiven: bool) -> Canary:
    """How the newest canary stands; one that failed does not count if a person asked to try again."""
    if not view.options.canary:
        return Canary()
    arrays = [a for a in view.arrays if a.canary and a.job != LOST]
    if not arrays:
        return Canary(missing=True)
    newest = arrays[-1]
    jobs = [newest.task(index) for index in range(len(newest.batches))]
    if any(view.active(job) for job in jobs):
        return Canary(waiting=newest.job)
    failures = [said for job in jobs if (said := _said(view, job))]
    if failures and forgiven:
        return Canary(missing=True)
    return Canary(failure=f"held, since a canary failed: {failures[0]}" if failures else "")


def _said(view: View, job: str) -> str:
    """What went wrong in a probe's job; empty if nothing did."""
    left = mark.read(view.submission.folder, job)
    if left is None:
        return f"job {job} ended without a word"
    told = [f"{label}: {cause}, {message}" for label, (cause, message) in left.failed.items()]
    return "; ".join(told) or (f"job {job} was told to stop" if left.code else "")


def batches(view: View) -> list[Batch]:
    """One probe a job, or several if there are more than an array may have tasks."""
    works = canary.works(view.submission)
    size = math.ceil(len(works) / commands.max_array_size())
    return [tuple(works[start : start + size]) for start in range(0, len(works), max(1, size))]
