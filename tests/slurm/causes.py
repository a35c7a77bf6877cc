"""Whether the causes that rounds decided on are what happened, by the faults' own record and the jobs' logs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from slurm.soak_site import Site

from launch.compose.arm import Work
from launch.slurm.records import read_arrays
from launch.slurm.sbatch import JOBS, log_file
from launch.sweep.submission import Submission

Event = tuple[float, str, str]  # seconds, fault, whom it hit
_KILLS = ("kill_worker", "kill_driver", "kill_group")
_ENDS = (*_KILLS, "scancel_usr2", "requeue", "requeue_twice")  # that name their job


def wrong(site: Site, events: Sequence[Event]) -> Iterator[str]:
    """Decisions whose cause is another than the job's log or the last fault that hit the job says."""
    for submission in site.submissions():
        jobs = {array.number: array for array in read_arrays(submission.folder)}
        for decision in _decisions(submission):
            array, (id_, seeds) = jobs.get(decision["array"]), decision["work"]
            if array is None or not decision["cause"]:
                continue
            work = Work(id_, tuple(seeds))
            place = next((k for k, batch in enumerate(array.batches) if work in batch), None)
            if place is None:
                yield f"{work.label} in array {array.number}, which has no such trial"
                continue
            why = _contradiction(submission, array.task(place), [f"{id_}/seed-{s}" for s in seeds], decision, events)
            if why:
                yield f"{work.label} in {array.task(place)}: {decision['cause']}, but {why}"


def _contradiction(
    submission: Submission, job: str, labels: Sequence[str], decision: dict[str, Any], events: Iterable[Event]
) -> str:
    log = log_file(submission.folder / JOBS, job)
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    ends = [line for line in lines if line.startswith(tuple(f"{label}: " for label in labels))]
    cause = decision["cause"]
    if cause in ("node", "killed") and ends and "failed disk" in ends[-1] and not _hits(job, events):
        return f"its log says {ends[-1][:120]!r}"
    told = [what for what in _hits(job, events) if what not in _KILLS]  # who is killed while it stops was told before
    if cause == "time_limit" and told[-1:] != ["scancel_usr2"]:  # no job of a soak has a limit
        return f"the last that its job was told was {told[-1] if told else 'nothing'}"
    return ""


def _hits(job: str, events: Iterable[Event]) -> list[str]:
    """The faults that ended or stopped a job's processes, the last at the end."""
    return [what for _, what, whom in events if what in _ENDS and job in whom.replace(",", " ").split()]


def _decisions(submission: Submission) -> Iterator[dict[str, Any]]:
    """All that were written, also those that a person's retry made void."""
    path = submission.folder / "verdicts.jsonl"
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            yield json.loads(line)
        except ValueError:  # an empty line, or one that was torn by a kill
            continue
