"""SLURM's own commands about our jobs. They are called gently: once for all jobs of a submission.

squeue knows what is waiting or running, and what ended within the last minutes; sacct also what ended long ago, if
the cluster keeps accounts. Neither is trusted with whether a trial is done: its files say that.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache

from ablation.errors import AblationError

_TIMEOUT = 60  # seconds
# A person's settings, which change what is printed.
_FORMAT_VARIABLES = ("SQUEUE_", "SACCT_", "SCANCEL_", "SLURM_TIME_FORMAT")
_ENDED = frozenset(
    {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "BOOT_FAIL", "DEADLINE", "OUT_OF_MEMORY", "PREEMPTED"}
    | {"REVOKED"}
)
# SLURM requeues these by itself, moments after it shows them as ended.
_MAY_RETURN = frozenset({"NODE_FAIL", "PREEMPTED", "BOOT_FAIL"})
_RETURN_SECONDS = 20


@dataclass(frozen=True)
class Job:
    """One job, or one task of an array."""

    id: str  # 123 or 123_4
    name: str
    state: str
    node: str = ""
    ended: float | None = None  # seconds since 1970
    mem_mib: int | None = None  # asked for

    @property
    def active(self) -> bool:
        """Whether it waits or runs, or may be put back to do so."""
        recent = self.ended is not None and time.time() - self.ended < _RETURN_SECONDS
        return self.state not in _ENDED or (self.state in _MAY_RETURN and recent)


def queue(names: Iterable[str]) -> dict[str, Job]:
    """By id: the jobs of these names that squeue knows.

    Raises:
        AblationError: SLURM cannot be asked, so nothing may be concluded.
    """
    wanted = list(names)
    if not wanted:
        return {}
    form = "%F|%K|%j|%T|%N|%e"
    text = _run(["squeue", "-h", "-r", "--states=all", f"--name={','.join(wanted)}", "-o", form])
    return {job.id: job for job in map(_job, text.splitlines())}


def _job(line: str) -> Job:
    number, task, name, state, node, end = line.split("|")
    id_ = number if task == "N/A" else f"{number}_{task}"
    return Job(id_, name, state, node, _time(end))


def job_state(job: str) -> str:
    """What squeue says of one job; empty if it cannot be asked or does not know it."""
    try:
        return _run(["squeue", "-h", "-j", job, "-o", "%T"]).strip()
    except AblationError:
        return ""


def accounts(names: Iterable[str], since: float) -> dict[str, Job]:
    """By id: what the accounts say of the jobs of these names, submitted after `since`; empty without accounts.

    The state is the worst of the job's and its steps': a step may be out of memory in a job that is only FAILED.
    """
    wanted = ",".join(names)
    begin = datetime.fromtimestamp(since - 60).isoformat(timespec="seconds")
    fields = "JobID,JobName,State,NodeList,End,ReqMem"
    try:
        command = ["sacct", "-n", "-P", "-S", begin, f"--name={wanted}", f"--format={fields}"]
        text = _run(command, pauses=(0,)) if wanted else ""  # many clusters have none
    except AblationError:
        return {}
    found: dict[str, Job] = {}
    for line in text.splitlines():
        id_, name, state, node, end, mem = line.split("|")
        whole, _, step = id_.partition(".")
        state = state.split()[0] if state else ""  # CANCELLED by 0
        if not step:
            node = "" if node.startswith("None") else node
            found |= {task: Job(task, name, state, node, _time(end), _mebibytes(mem)) for task in _tasks(id_)}
        elif state == "OUT_OF_MEMORY" and whole in found:
            found[whole] = replace(found[whole], state=state)
    return found


def _time(text: str) -> float | None:
    return datetime.fromisoformat(text).timestamp() if text[:1].isdigit() else None


def _mebibytes(text: str) -> int | None:
    """Of `2G`; older versions of sacct add whether it is for a node (n) or a processor (c)."""
    found = re.fullmatch(r"([\d.]+)([MGT])n?", text)
    return round(float(found[1]) * {"M": 1, "G": 1024, "T": 1024**2}[found[2]]) if found else None


def _tasks(id_: str) -> Iterator[str]:
    """`123_[4-6,9%2]`, as tasks that never started are shown, one by one."""
    found = re.fullmatch(r"(\d+)_\[([\d,-]+)(?:%\d+)?\]", id_)
    if not found:
        yield id_
        return
    for part in found[2].split(","):
        first, _, last = part.partition("-")
        yield from (f"{found[1]}_{k}" for k in range(int(first), int(last or first) + 1))


@cache
def max_array_size() -> int:
    """How many tasks an array may have."""
    found = re.search(r"^MaxArraySize\s*=\s*(\d+)", _run(["scontrol", "show", "config"]), re.MULTILINE)
    return int(found[1]) if found else 1001


def cancel_jobs(ids: Sequence[str]) -> None:
    """scancel these jobs; those that have ended are no error.

    Raises:
        AblationError: SLURM cannot be asked.
    """
    for start in range(0, len(ids), 500):  # a command line has an end
        _run(["scancel", "-Q", *ids[start : start + 500]])


def update_job(id_: str, **values: str) -> None:
    """Change a waiting job.

    Raises:
        AblationError: SLURM refuses.
    """
    _run(["scontrol", "update", f"JobId={id_}", *(f"{k}={v}" for k, v in values.items())])


def _run(command: list[str], pauses: Sequence[float] = (1, 4, 0)) -> str:
    """A command's output, tried again after these pauses (seconds): a busy controller answers late.

    Raises:
        AblationError: it failed each time.
    """
    trouble, env = "", {k: v for k, v in os.environ.items() if not k.startswith(_FORMAT_VARIABLES)}
    for pause in pauses:
        try:
            done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=_TIMEOUT)
        except FileNotFoundError as e:
            raise AblationError(f"{command[0]}: no such command; run this where SLURM's commands are") from e
        except subprocess.TimeoutExpired:
            trouble = f"no answer within {_TIMEOUT} s"
        else:
            if done.returncode == 0:
                return done.stdout
            trouble = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        time.sleep(pause)
    raise AblationError(f"{command[0]}: {trouble}")
