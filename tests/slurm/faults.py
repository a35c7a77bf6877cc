"""The faults of a soak: each a small function that does what is drawn, says whom it hit, and what heals it later.

They are what happens on clusters: real signals to real processes, and SLURM's own commands. One that finds nobody to
hit says so.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Collection
from contextlib import closing, suppress
from functools import partial
from random import Random
from typing import NamedTuple, TypeVar

from slurm import truth
from slurm.lab import parent
from slurm.shells import patient, wait_until
from slurm.soak_site import NODES, SWEEP, Site

T = TypeVar("T")
NOBODY = "nobody"


class Fault(NamedTuple):
    """One kind of fault."""

    act: Callable[[Site, Random], str]  # returns whom it hit
    weight: int = 2  # how often, compared with others
    typed: bool = False  # no fault, but what people do meanwhile

    @property
    def name(self) -> str:
        return self.act.__name__


def _drawn(draw: Random, among: Collection[T]) -> T | None:
    return draw.choice(list(among)) if among else None


def _told(whom: str, trouble: str) -> str:
    """Whom a command of SLURM's hit; nobody, if it failed."""
    return f"{NOBODY}: {whom}, {trouble}" if trouble else whom


def _kill(pids: Collection[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


# ---- processes


def kill_worker(site: Site, draw: Random) -> str:
    """kill -9 of the process that trains."""
    if (hit := _drawn(draw, site.trained())) is None:
        return NOBODY
    _kill([hit[1].pid])
    return f"{hit[0]} in {hit[1].job}"


def kill_driver(site: Site, draw: Random) -> str:
    """kill -9 of a job's own process, whose workers live on."""
    if (hit := _drawn(draw, site.trained())) is None:
        return NOBODY
    with suppress(OSError):
        _kill([parent(hit[1].pid)])
    return hit[1].job


def kill_group(site: Site, draw: Random) -> str:
    """kill -9 of every process of a job at once: the shell of the batch, the driver, the workers."""
    if (hit := _drawn(draw, site.trained())) is None:
        return NOBODY
    number, _, task = hit[1].job.partition("_")
    ours = set(site.processes(f"SLURM_ARRAY_JOB_ID={number}")) & set(site.processes(f"SLURM_ARRAY_TASK_ID={task}"))
    _kill(ours)
    return f"{hit[1].job}, {len(ours)} processes"


def kill_keeper(site: Site, draw: Random) -> str:
    """kill -9 of all of a keeper, or scancel while it waits."""
    if (job := _drawn(draw, site.jobs(keepers=True))) is None:
        return NOBODY
    running = list(site.processes(f"SLURM_JOB_ID={job}"))
    _kill(running)
    return f"{job} killed" if running else _told(f"{job} cancelled", patient(["scancel", job]))


# ---- SLURM's commands, by an admin


def requeue(site: Site, draw: Random) -> str:
    return _on_job(site, draw, ["scontrol", "requeue"])


def requeue_twice(site: Site, draw: Random) -> str:
    """Again as soon as it runs, or at once."""
    if (job := _drawn(draw, site.jobs("RUNNING"))) is None:
        return NOBODY
    patient(["scontrol", "requeue", job])
    if wait := draw.random() < 0.5:
        wait_until(lambda: job in site.jobs("RUNNING"), 15)
    return f"{job}{' when it ran again' if wait else ''} {patient(['scontrol', 'requeue', job])}"


def suspend(site: Site, draw: Random) -> str:
    """For less than the lease, or for much longer."""
    seconds = draw.choice((2, 4, 9, 15))
    if (job := _drawn(draw, site.jobs("RUNNING"))) is None:
        return NOBODY
    said = patient(["scontrol", "suspend", job])
    _later(site, seconds, f"{job} resumed", partial(patient, ["scontrol", "resume", job]))
    return _told(f"{job} for {seconds} s", said)


def scancel(site: Site, draw: Random) -> str:
    return _on_job(site, draw, ["scancel"])


def scancel_usr2(site: Site, draw: Random) -> str:
    """What jobs get before their time limit."""
    return _on_job(site, draw, ["scancel", "--signal=USR2", *draw.choice(([], ["--full"]))])


def _on_job(site: Site, draw: Random, command: list[str]) -> str:
    job = _drawn(draw, site.jobs("RUNNING") if draw.random() < 0.8 else site.jobs())
    return NOBODY if job is None else _told(job, patient([*command, job]))


# ---- nodes and daemons


def node_lost(site: Site, draw: Random) -> str:
    """Its processes live on, and nobody hears of them."""
    node, seconds = draw.choice(NODES), draw.randint(3, 20)
    if any("lost" in what for _, what, _ in site.later):
        return NOBODY
    said = site.daemon("kill-node", node)
    _later(site, seconds, f"{node}, which was lost, is back", partial(site.daemon, "start-node", node))
    return _told(f"{node} for {seconds} s", said)


def node_down(site: Site, draw: Random) -> str:
    return _set_node(site, draw, "down")


def drain(site: Site, draw: Random) -> str:
    return _set_node(site, draw, "drain")


def _set_node(site: Site, draw: Random, state: str) -> str:
    node, seconds = draw.choice(NODES), draw.randint(3, 20)
    said = patient(["scontrol", "update", f"NodeName={node}", f"State={state}", "Reason=soak"])
    _later(site, seconds, f"{node} resumed", partial(_resume, node))
    return _told(f"{node} for {seconds} s", said)


def _resume(node: str) -> str:
    return patient(["scontrol", "update", f"NodeName={node}", "State=resume"])  # refused where it is back already


def slurmctld(site: Site, draw: Random) -> str:
    return _daemon(site, draw, "slurmctld")


def slurmdbd(site: Site, draw: Random) -> str:
    return _daemon(site, draw, "slurmdbd")


def munge(site: Site, draw: Random) -> str:
    return _daemon(site, draw, "munged")


def _daemon(site: Site, draw: Random, name: str) -> str:
    """kill -9, and up again after some seconds."""
    seconds = draw.choice((1, 4, 12))
    said = site.daemon("kill", name)
    _later(site, seconds, f"{name} started", partial(site.daemon, "start", name))
    return _told(f"for {seconds} s", said)


# ---- disk and tracker


def disk_full(site: Site, draw: Random) -> str:
    """All that is left of it is filled; what others free meanwhile as well."""
    seconds, filler = draw.randint(2, 12), site.disk / "filler"
    if filler.exists():
        return NOBODY
    subprocess.run(["dd", "if=/dev/zero", f"of={filler}", "bs=64k", "status=none"], capture_output=True, check=False)
    _later(site, seconds, "disk free", filler.unlink)
    return f"for {seconds} s"


def tracker_locked(site: Site, draw: Random) -> str:
    """Another program holds MLflow's database."""
    seconds = draw.choice((3, 8, 20))
    if not site.tracker.exists():
        return NOBODY

    def hold() -> None:
        with closing(sqlite3.connect(site.tracker, timeout=20)) as held, suppress(sqlite3.Error):
            held.execute("BEGIN EXCLUSIVE")
            time.sleep(seconds)

    site.shells.aside(hold)
    return f"for {seconds} s"


def tracker_read_only(site: Site, draw: Random) -> str:
    seconds, folder = draw.randint(3, 15), str(site.tracker.parent)
    said = patient(["mount", "-o", "remount,ro", folder])
    _later(site, seconds, "tracker writable", partial(patient, ["mount", "-o", "remount,rw", folder]))
    return _told(f"for {seconds} s", said)


# ---- people in other shells


def cancel(site: Site, draw: Random) -> str:
    """Some arm, all seeds of it: or of everything."""
    arm = _drawn(draw, sorted({label.partition("/")[0] for label in site.trials()}))
    if arm is None:
        return NOBODY
    chosen = ["--id", arm] if draw.random() < 0.9 else []
    _verb(site, "cancel", "--yes", "--json", *chosen)
    return arm if chosen else "all"


def retry(site: Site, draw: Random) -> str:
    return _verb(site, "retry", *draw.choice((["--json"], [])))


def retry_thrice(site: Site, draw: Random) -> str:
    """From three shells at one time."""
    return " ".join(_verb(site, "retry", "--json") for _ in range(3))


def status(site: Site, draw: Random) -> str:
    return _verb(site, "status", *draw.choice((["--json"], ["--json"], [])))


def watch(site: Site, draw: Random) -> str:
    seconds = draw.randint(4, 20)
    _verb(site, "watch", leave_after=seconds)
    return f"for {seconds} s"


def logs(site: Site, draw: Random) -> str:
    return _verb(site, "logs", "--failed", "--json")


def sync(site: Site, draw: Random) -> str:
    return _verb(site, "sync", "--json")


def submit_again(site: Site, draw: Random) -> str:
    """A grid that was submitted before, from one shell or from two."""
    line, times = site.random_grid(draw), draw.choice((1, 2))
    for _ in range(times):
        site.shells.aside(lambda: site.shells.run(*line, judge=truth.judge(site)))
    return f"{times} times, {' '.join(word for word in line if word.startswith(('optim.lr', 'loss', 'fuse')))}"


def _verb(site: Site, *words: str, leave_after: float | None = None) -> str:
    def act() -> None:
        site.shells.ablation(*site.verb(*words), judge=truth.judge(site), leave_after=leave_after)

    if not site.submissions():
        return NOBODY
    site.shells.aside(act)
    return SWEEP


def _later(site: Site, seconds: float, what: str, act: Callable[[], object]) -> None:
    site.later.append((site.clock() + seconds, what, act))


FAULTS = (
    Fault(kill_worker, 4), Fault(kill_driver, 3), Fault(kill_group, 3), Fault(kill_keeper), Fault(requeue, 3),
    Fault(requeue_twice), Fault(suspend, 3), Fault(scancel), Fault(scancel_usr2, 3), Fault(node_lost), Fault(node_down),
    Fault(drain), Fault(slurmctld), Fault(slurmdbd), Fault(munge, 1), Fault(disk_full, 3), Fault(tracker_locked),
    Fault(tracker_read_only), Fault(cancel, typed=True), Fault(retry, 4, True), Fault(retry_thrice, 1, True),
    Fault(status, 5, True), Fault(watch, 3, True), Fault(logs, 1, True), Fault(sync, 1, True),
    Fault(submit_again, 2, True),
)  # fmt: skip
