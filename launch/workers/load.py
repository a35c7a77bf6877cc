"""How many of this process's cores other processes leave it, so that a training beside others does not collapse.

The threads of a convolution wait for each other at every step of it, some of them by spinning whatever OpenMP was told.
Two trainings of two threads each on two cores were measured at a tenth to a seventh of the images a second that they
make with one thread each.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import torch

from ablation.machine import allowance

_STAT = Path("/proc/stat")
_LEAST = 0.5  # seconds that are watched at least
_TICK = 100  # of a second, in which the kernel counts (USER_HZ)


class Load:
    """Watches from its making on what other processes take of the cores that this one may use."""

    def __init__(self, stat: Path = _STAT) -> None:
        self._stat, self._told = stat, stat.exists()
        self._began, self._busy, self._own = time.monotonic(), self._all(), _own()

    def free(self) -> int:
        """Cores that others left free since, at least 1; all that are allowed where the kernel does not tell."""
        cores = allowance.cores()
        if not self._told:
            return cores
        # Where a quota allows fewer cores than there are, others may well be busy on those that are left over.
        there = max(cores, len(os.sched_getaffinity(0)))
        return max(1, min(cores, round(there - self.taken())))

    def taken(self) -> float:
        """Cores that others kept busy since, on average."""
        time.sleep(max(0.0, _LEAST - (time.monotonic() - self._began)))
        busy = self._all() - self._busy - (_own() - self._own)
        return busy / (time.monotonic() - self._began)

    def _all(self) -> float:
        """Seconds that all processes have been running on the cores this one may use, nice ones left out."""
        if not self._told:
            return 0.0
        names = {f"cpu{n}" for n in os.sched_getaffinity(0)}
        rows = [line.split() for line in self._stat.read_text().splitlines()]
        # user nice system idle iowait irq softirq steal: what is nice gives way to us
        return sum(sum(int(row[k]) for k in (1, 3, 6, 7, 8)) for row in rows if row and row[0] in names) / _TICK


def give_way(load: Load) -> list[str]:
    """Compute with as many threads as there are free cores, unless the user said how many; the notes say so."""
    if "OMP_NUM_THREADS" in os.environ:
        return []
    free, cores = load.free(), allowance.cores()
    torch.set_num_threads(free)
    if free == cores:
        return []
    told = f"other processes keep cores busy: this one computes with {free} of {cores} threads"
    return [f"{told} (OMP_NUM_THREADS=N says otherwise)"]


def _own() -> float:
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system
