"""Whether what a command said is true: held against the trials' files and SLURM's queue, before it and after it."""

from __future__ import annotations

import json
import re
import subprocess
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from slurm.shells import Judge, Typed
from slurm.soak_site import Site

from ablation.store import attempt
from ablation.store.attempt import CANCEL
from ablation.store.result import finished
from launch.slurm.records import read_arrays

_ABANDONED = {"failed", "blocked", "stopped", "cancelled", "new"}
_UNASKED = "what waits in SLURM's queue is not known"
_HELD = "held"  # SLURM could not start it, and does not try again
_ACTIVE = {"PENDING", "CONFIGURING", "RUNNING", "SUSPENDED", "COMPLETING", "REQUEUED", "STOPPED", "REQUEUE_HOLD"}


@dataclass(frozen=True)
class Facts:
    """How everything stands at one moment."""

    done: frozenset[str]  # labels
    held: frozenset[str]  # by a process, dead or alive
    cancelled: frozenset[str]
    attempts: dict[str, int]
    jobs: dict[str, str] | None  # state by number; None: SLURM cannot be asked
    in_jobs: dict[str, list[str]]  # by label: its jobs that wait or run
    works: dict[int, int]  # by submission: works in jobs that wait or run
    handed: dict[int, int]  # by submission: works that were ever handed to SLURM

    @property
    def keepers(self) -> bool:
        return any("_" not in job for job in self.jobs or {})


def facts(site: Site) -> Facts:
    trials, jobs = site.trials(), _queue()
    in_jobs: dict[str, list[str]] = {}
    works: Counter[int] = Counter()
    handed: Counter[int] = Counter()
    for submission in site.submissions():
        for job, label, first in _placed(submission.folder):
            handed[submission.number] += first
            if job in (jobs or {}):
                in_jobs.setdefault(label, []).append(job)
                works[submission.number] += first
    return Facts(
        frozenset(label for label, folder in trials.items() if finished(folder)),
        frozenset(label for label, folder in trials.items() if _held(folder)),
        frozenset(label for label, folder in trials.items() if (folder / CANCEL).exists()),
        {label: attempt.latest(folder) for label, folder in trials.items()},
        jobs,
        in_jobs,
        dict(works),
        dict(handed),
    )


def _placed(folder: Path) -> Iterable[tuple[str, str, bool]]:
    """Job, trial, and whether it is the first of its work, of all that was handed to SLURM."""
    arrays = []
    with suppress(OSError, ValueError):  # is being written
        arrays = read_arrays(folder)
    for array in arrays:
        for k, batch in enumerate(array.batches):
            for work in batch:
                for n, seed in enumerate(work.seeds):
                    yield array.task(k), f"{work.id}/seed-{seed}", n == 0


def _held(folder: Path) -> bool:
    return (attempt.folder(folder, attempt.latest(folder)) / attempt.BEAT).exists()


def _queue() -> dict[str, str] | None:
    try:
        command = ["squeue", "-h", "-r", "--states=all", "-o", "%F_%K %T %r"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
    except (subprocess.SubprocessError, OSError):
        return None
    lines = [line.split(maxsplit=2) for line in done.stdout.splitlines()]
    return {
        job.removesuffix("_N/A"): _HELD if state == "PENDING" and "held" in "".join(reason).lower() else state
        for job, state, *reason in lines
        if state in _ACTIVE
    }


def judge(site: Site) -> Judge:
    """Looks now, and again when the command has ended; gives what it said that was true neither then nor now."""
    before = facts(site)

    def compare(typed: Typed) -> list[str]:
        after = facts(site)
        with suppress(ValueError):
            said = json.loads(typed.out)
            if "trials" in said and typed.verb == "status":
                return _status(said, typed, before, after)
            if "error" not in said:
                return _lists(said, before)
        return _in_jobs(typed.out, before, after)

    return compare


def _status(said: dict[str, Any], typed: Typed, before: Facts, after: Facts) -> list[str]:
    states = {f"{t['id']}/seed-{t['seed']}": t for t in said["trials"]}
    if any(_UNASKED in text for text in said["trouble"]):  # it says itself that it does not know of jobs
        typed.unasked = "the judge could" if None not in (before.jobs, after.jobs) else "the judge could not either"
        before, after = replace(before, jobs=None), replace(after, jobs=None)
    wrong = [text for label, t in states.items() if (text := _trial(label, t, before, after))]
    counted = Counter(t["state"] for t in states.values())
    if dict(counted) != said["totals"]:
        wrong.append(f"totals are {said['totals']}, its trials {dict(counted)}")
    abandoned = any(t["state"] in _ABANDONED and not t["stale"] for t in states.values())
    if typed.code != int(abandoned):
        wrong.append(f"exit code {typed.code} with {dict(counted)}")
    if before.jobs is None and after.jobs is None and not said["trouble"] and set(counted) - {"done"}:
        wrong.append("SLURM could not be asked, and it does not say so")
    return wrong


def _trial(label: str, t: dict[str, Any], before: Facts, after: Facts) -> str:
    """What is wrong with what is said of a trial."""
    state = t["state"]
    about = f"{label} is said to be {state} ({t['cause']}: {t['message'][:200]})"
    if state != "done" and label in before.done:
        return f"{about} and was done"
    if state == "done" and label not in after.done:
        return f"{about} and was not"
    if t["cause"] == "damaged":
        return f"{about} and nothing was damaged"
    moved = before.attempts.get(label) != after.attempts.get(label)
    if state == "running" and not moved and label not in before.held | after.held:
        return f"{about} and nobody held it"
    if before.jobs is None or after.jobs is None:
        return ""
    placed = before.in_jobs.get(label, []), after.in_jobs.get(label, [])
    if state == "queued" and not any(placed) and not (before.keepers or after.keepers):
        return f"{about} and no job of its had been in the queue"
    same = {job for job in set(placed[0]) & set(placed[1]) if _HELD not in (before.jobs[job], after.jobs[job])}
    cancelled = label in before.cancelled | after.cancelled
    if state in ("new", "stopped") and same and not moved and not cancelled:
        return f"{about} and was in {', '.join(sorted(same))}"
    waits = {job for job in same if before.jobs[job] == after.jobs[job] == "PENDING"}
    if state == "failed" and waits and not moved and not cancelled:
        return f"{about} and waits in {', '.join(sorted(waits))}"
    return ""


def _lists(said: dict[str, Any], before: Facts) -> list[str]:
    """Of `retry` and `cancel`: what they name was there to be retried or cancelled."""
    named = [*said.get("retried", []), *said.get("cancelled", [])]
    return [f"{label} is named and was done" for label in named if label in before.done]


def _in_jobs(text: str, before: Facts, after: Facts) -> list[str]:
    """Of lines such as `2 done, 3 in jobs`: there were so many in jobs."""
    found = re.search(r"(\d+) in jobs", text)
    number = re.search(r"submission (\d+)", text)
    if not found or not number or before.jobs is None or after.jobs is None:
        return []
    own = int(number[1])
    most = max(f.works.get(own, 0) for f in (before, after))
    ended = len(after.done - before.done)
    meanwhile = after.handed.get(own, 0) - before.handed.get(own, 0)  # which somebody may have cancelled since
    wrong = int(found[1]) > most + ended + meanwhile
    return [f"says {found[0]}, and there were at most {most} in jobs of submission {number[1]}"] if wrong else []
