"""What workers compute on: the slots of this machine, their GPUs and threads, and the cores that others leave them.

The threads of a convolution wait for each other at every step of it, some of them by spinning whatever OpenMP was told.
Two trainings of two threads each on two cores were measured at a tenth to a seventh of the images a second that they
make with one thread each. So a training beside others takes no more threads than there are free cores (`Load`).
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ablation.errors import ConfigError
from ablation.machine import allowance
from ablation.machine.threads import compute_with, most
from launch.compose.arm import Planned
from launch.sweep.launcher_options import LAUNCHER, refused, whole
from launch.workers.process import TAKE_TURNS, Slot

_WORKER_BYTES = 2 << 30  # of memory that a worker on the CPU is counted with: libraries 0.6 GB, and a trial's data
_STAT = Path("/proc/stat")
_LEAST_SECONDS = 0.5  # that are watched at least
_USER_HZ = 100  # ticks of a second, in which the kernel counts


def choose_slots(options: Mapping[str, Any], planned: Sequence[Planned]) -> list[Slot]:
    """One slot for each visible GPU (or `per_gpu`), or `workers` on the CPU.

    How many depends on the machine and the whole grid, never on what is done already. On a CPU the number of threads
    can change a result's last bits: a trial goes on with those it began with, as far as there are so many.

    Raises:
        ConfigError: an impossible option, or a device that this machine lacks.
        DeviceError: a GPU is there, but cannot be used.
    """
    per_gpu, workers = whole(options, "per_gpu", 1), options["workers"]
    if workers != "auto":
        whole(options, "workers", 1, give="auto or a whole number of at least 1")
    gpus = _gpus(options, {str(p.config["device"]) for p in planned})
    if gpus:
        return [_on_gpu(gpu, n, per_gpu) for n in range(per_gpu) for gpu in gpus]
    cores = allowance.cores()
    if workers == "auto":
        # Two trials of one thread each are faster than one of two threads, and so on.
        workers = max(1, min(cores, sum(len(p.works) for p in planned), allowance.memory() // _WORKER_BYTES))
    threads = str(_threads(cores // workers, workers))
    env = {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "CUDA_VISIBLE_DEVICES": ""}
    return [Slot(f"cpu-{n}", env, device="cpu") for n in range(workers)]


def _threads(share: int, workers: int) -> int:
    """Of each worker: its share of the cores, or as few as OMP_NUM_THREADS says or others' processes leave it."""
    if "OMP_NUM_THREADS" in os.environ:
        return max(1, min(share, most()))
    # Two processes of several threads each wait for each other far longer than they compute: see the head of the file.
    return min(share, max(1, Load().free() // workers)) if share > 1 else 1


def _on_gpu(gpu: str, n: int, per_gpu: int) -> Slot:
    return Slot(f"gpu-{gpu}-{n}", {"CUDA_VISIBLE_DEVICES": gpu}, 1 / per_gpu, device=gpu, gpu=True)


def _gpus(options: Mapping[str, Any], devices: set[str]) -> list[str]:
    """The GPUs to use, as CUDA_VISIBLE_DEVICES names them; none if the trials are for the CPU."""
    requested = options["gpus"]
    if requested != "auto" and not (isinstance(requested, list) and all(type(g) is int and g >= 0 for g in requested)):
        raise refused(f"{LAUNCHER}.gpus", requested, "auto, or a list of numbers such as [0,1]; [] for none")
    pinned = sorted(d for d in devices if d.startswith("cuda:"))
    if pinned:
        raise ConfigError(
            f"device={pinned[0]}: each worker sees one GPU; use device=auto, and {LAUNCHER}.gpus=[{pinned[0][5:]}]"
        )
    if devices == {"cpu"}:
        return []
    from ablation.machine import device, gpus  # and with them torch, which who only looks at a sweep does without

    visible = gpus.visible()
    if requested != []:
        device.decide("auto", device.look())  # refuses a GPU that is there and cannot be used
    if requested == "auto" and (visible or "cuda" not in devices):
        return visible
    chosen = range(len(visible)) if requested == "auto" else requested
    lacking = [g for g in chosen if g >= len(visible)]
    if lacking:
        raise ConfigError(
            f"{LAUNCHER}.gpus={requested}: GPU {lacking[0]} is not visible here; there are {len(visible)}"
        )
    if not chosen and "cuda" in devices:
        raise ConfigError("device=cuda: no GPU is visible here; use device=auto or device=cpu")
    return [visible[g] for g in chosen]


def notes(slots: Sequence[Slot]) -> list[str]:
    """What is allowed, but may not be what was meant: trials side by side that wait for each other."""
    found, gpus = [], [slot.device for slot in slots if slot.gpu]
    per_gpu = max(map(gpus.count, gpus), default=0)
    if per_gpu > 1 and not Path(os.environ.get("CUDA_MPS_PIPE_DIRECTORY", "/tmp/nvidia-mps")).exists():
        found.append(TAKE_TURNS.format(option=f"{LAUNCHER}.per_gpu={per_gpu}"))
    if len(gpus) > (cores := allowance.cores()):
        found.append(f"{len(gpus)} trials run side by side on {cores} cores, so that they wait for cores")
    return found


class Load:
    """Watches from its making on what other processes take of the cores that this one may use."""

    def __init__(self, stat: Path = _STAT) -> None:
        self._stat, self._readable = stat, stat.exists()
        self._began, self._busy, self._own = time.monotonic(), self._busy_seconds(), _own_seconds()

    def free(self) -> int:
        """Cores that others left free since, at least 1; all that are allowed where the kernel does not tell."""
        cores = allowance.cores()
        if not self._readable:
            return cores
        # Where a quota allows fewer cores than there are, others may well be busy on those that are left over.
        there = max(cores, len(os.sched_getaffinity(0)))
        return max(1, min(cores, round(there - self.taken())))

    def taken(self) -> float:
        """Cores that others kept busy since, on average."""
        time.sleep(max(0.0, _LEAST_SECONDS - (time.monotonic() - self._began)))
        busy = self._busy_seconds() - self._busy - (_own_seconds() - self._own)
        return busy / (time.monotonic() - self._began)

    def _busy_seconds(self) -> float:
        """Seconds that all processes have been running on the cores this one may use, nice ones left out."""
        if not self._readable:
            return 0.0
        names = {f"cpu{n}" for n in os.sched_getaffinity(0)}
        rows = [line.split() for line in self._stat.read_text().splitlines()]
        # user nice system idle iowait irq softirq steal: what is nice gives way to us
        return sum(sum(int(row[k]) for k in (1, 3, 6, 7, 8)) for row in rows if row and row[0] in names) / _USER_HZ


def _own_seconds() -> float:
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def give_way(load: Load) -> list[str]:
    """Compute with as many threads as there are free cores, unless the user said how many; the notes say so."""
    if "OMP_NUM_THREADS" in os.environ:
        return []
    free, cores = load.free(), allowance.cores()
    compute_with(free)
    if free == cores:
        return []
    text = f"other processes keep cores busy: this one computes with {free} of {cores} threads"
    return [f"{text} (OMP_NUM_THREADS=N sets another number)"]
