"""Who a process is, so that another can tell whether it still runs.

Known on Linux alone. Elsewhere `boot` and `space` are empty, and only heartbeats tell.
"""

from __future__ import annotations

import os
from pathlib import Path

_PROC = Path("/proc")


def boot() -> str:
    """What changes each time this machine is started; empty if not known."""
    return _text(_PROC / "sys/kernel/random/boot_id").strip()


def space() -> str:
    """The pid namespace: containers on one machine each count their processes anew; empty if not known."""
    try:
        return os.readlink(_PROC / "self/ns/pid")
    except OSError:
        return ""


def born(pid: int) -> str:
    """When a process of this pid namespace was started, in clock ticks since the boot; empty if it does not run."""
    # The name, in parentheses, may contain anything.
    state, *fields = _text(_PROC / str(pid) / "stat").rpartition(")")[2].split() or ["X"]
    return "" if state in "ZX" else fields[18]


def job() -> str:
    """The SLURM job this process is in, as "123" or, of an array, "123_4"; empty if in none."""
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{task}" if array and task else os.environ.get("SLURM_JOB_ID", "")


def restart() -> str:
    """How often SLURM has requeued this job; empty if never."""
    return os.environ.get("SLURM_RESTART_COUNT", "")


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
