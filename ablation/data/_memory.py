"""How much memory there is to use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path


def _limits() -> Iterator[int]:
    """Bytes that the machine has left, and the limits of the control groups: a SLURM job has less than its node."""
    for line in _lines(Path("/proc/meminfo")):
        if line.startswith("MemAvailable:"):
            yield int(line.split()[1]) * 1024
    for line in _lines(Path("/proc/self/cgroup")):
        group = Path("/sys/fs/cgroup") / line.rpartition(":")[2].lstrip("/")
        for parent in (group, *group.parents):
            yield from (int(text) for text in _lines(parent / "memory.max") if text.isdigit())


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except OSError:
        return []


def available() -> int:
    """Bytes, at most; where the system does not say, half of its physical memory."""
    return min(_limits(), default=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2)


def fits(size: int) -> bool:
    """Whether that many bytes of images leave at least as much for everything else."""
    return 2 * size <= available()
