"""What this process may use of the machine: its cores and memory, or less where a container's limits say so.

And how often it was killed for taking more.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")  # of Linux's control groups, version 2
_OWN = Path("/proc/self/cgroup")
_MACHINE = Path("/proc/vmstat")


def cores(root: Path = _ROOT, own: Path = _OWN) -> int:
    """Cores, at least 1; of a share such as 2.5 cores the whole ones."""
    there = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    shares = [words.split() for words in _limits("cpu.max", root, own)]
    return max(1, min([there, *(int(quota) // int(period) for quota, period in shares)]))


def memory(root: Path = _ROOT, own: Path = _OWN) -> int:
    """Bytes."""
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([there, *(int(words) for words in _limits("memory.max", root, own))])


def oom_kills(root: Path = _ROOT, own: Path = _OWN, machine: Path = _MACHINE) -> int:
    """How many processes the kernel has killed for lack of memory, 0 if it is not known.

    Of this process's group, or, where groups do not count them, of the whole machine, others' jobs among them.
    """
    lines = own.read_text().splitlines() if own.exists() else []
    for number, controllers, path in (line.split(":", 2) for line in lines):
        if number == "0":
            tree, name = root, "memory.events"
        elif controllers == "memory":  # version 1
            tree, name = root / "memory", "memory.oom_control"
        else:
            continue
        # In a container the group may be called as outside, and lie at the root.
        for folder in (tree / path.lstrip("/"), tree):
            if (count := _counted(folder / name)) is not None:
                return count
    return _counted(machine) or 0


def _counted(file: Path) -> int | None:
    if not file.exists():
        return None
    return next((int(line.split()[1]) for line in file.read_text().splitlines() if line.startswith("oom_kill ")), None)


def _limits(name: str, root: Path, own: Path) -> Iterator[str]:
    """A limit of this process's group and of all groups around it, where there is one."""
    lines = own.read_text().splitlines() if own.exists() else []
    for path in (line.removeprefix("0::/") for line in lines if line.startswith("0::/")):
        group = root / path
        for folder in [group, *(parent for parent in group.parents if parent.is_relative_to(root))]:
            words = (folder / name).read_text().strip() if (folder / name).exists() else "max"
            if not words.startswith("max"):
                yield words
