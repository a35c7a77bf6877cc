"""What this process may use of the machine: its cores and memory, or less where a container's limits say so."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")  # of Linux's control groups, version 2
_OWN = Path("/proc/self/cgroup")


def cores(root: Path = _ROOT, own: Path = _OWN) -> int:
    """Cores, at least 1; of a share such as 2.5 cores the whole ones."""
    there = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    shares = [words.split() for words in _limits("cpu.max", root, own)]
    return max(1, min([there, *(int(quota) // int(period) for quota, period in shares)]))


def memory(root: Path = _ROOT, own: Path = _OWN) -> int:
    """Bytes."""
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([there, *(int(words) for words in _limits("memory.max", root, own))])


def _limits(name: str, root: Path, own: Path) -> Iterator[str]:
    """A limit of this process's group and of all groups around it, where there is one."""
    lines = own.read_text().splitlines() if own.exists() else []
    for path in (line.removeprefix("0::/") for line in lines if line.startswith("0::/")):
        group = root / path
        for folder in [group, *(parent for parent in group.parents if parent.is_relative_to(root))]:
            words = (folder / name).read_text().strip() if (folder / name).exists() else "max"
            if not words.startswith("max"):
                yield words
