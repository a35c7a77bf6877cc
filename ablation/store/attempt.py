"""Attempts at a trial: who trains it, and what keeps two processes from doing so at once.

Each attempt has a folder of its own in the seed's folder, `attempt-N`. Making it is the claim (`claim.py`). Its owner
alone writes in it, and only as long as there is no higher attempt (`check`), so that a process that was taken for dead
and is not changes nothing that counts. `beat` is there as long as the owner holds the attempt; a thread touches it to
show that it lives.
"""

from __future__ import annotations

import json
import os
import platform
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ablation.errors import AblationError
from ablation.store import heartbeat, process

CANCEL = "cancel"  # in the seed's folder: whoever trains it shall save and stop, and nobody start
OWNER, BEAT = "owner.json", "beat"  # in an attempt's folder
_PREFIX = "attempt-"


@dataclass(frozen=True)
class Owner:
    """The process that makes an attempt."""

    host: str
    boot: str
    space: str  # pid namespace
    pid: int
    born: str  # when the process was started
    job: str  # SLURM job, "123" or "123_4"; empty if in none
    time: float  # of the claim, seconds since 1970
    restart: str = ""  # how often SLURM has requeued the job; empty if never
    lease: float = 0.0  # seconds between signs of life that it asks others to allow it

    @classmethod
    def here(cls, lease: float = 0.0) -> Owner:
        """This process, now."""
        machine, pid = _machine(), os.getpid()
        return cls(*machine, pid, process.born(pid), process.job(), time.time(), process.restart(), lease)

    def runs(self) -> bool | None:
        """Whether the process runs; None if that cannot be told from here."""
        here = _machine()
        known = self.born and all(here) and here == (self.host, self.boot, self.space)
        return self.born == process.born(self.pid) if known else None

    def replaces(self, other: Owner) -> bool:
        """Whether `other` is of an earlier incarnation of this one's job, which SLURM has requeued.

        Never the other way round: an earlier incarnation that still runs would take the trial back.
        """
        return self.job != "" and self.job == other.job and int(self.restart or 0) > int(other.restart or 0)

    def __str__(self) -> str:
        job = f" (SLURM job {self.job})" if self.job else ""
        return f"process {self.pid} on {self.host}{job}"


def _machine() -> tuple[str, str, str]:
    return platform.node(), process.boot(), process.space()


class Busy(AblationError):
    """Another process trains this seed; `owner` is None if it left no name."""

    def __init__(self, message: str, owner: Owner | None) -> None:
        super().__init__(message)
        self.owner = owner


class Fenced(AblationError):
    """Another process was given this seed meanwhile: this one may write nothing more."""


def seed_folder(folder: Path, seed: int) -> Path:
    """Where a trial's files lie, below its arm's folder."""
    return folder / f"seed-{seed}"


def numbers(seed_folder: Path) -> list[int]:
    """The attempts there are, ascending."""
    try:
        names = os.listdir(seed_folder)
    except FileNotFoundError:
        return []
    return sorted(int(n[len(_PREFIX) :]) for n in names if n.startswith(_PREFIX) and n[len(_PREFIX) :].isdecimal())


def latest(seed_folder: Path) -> int:
    """The newest attempt; 0 if there is none."""
    return max(numbers(seed_folder), default=0)


def folder(seed_folder: Path, number: int) -> Path:
    """Where an attempt's files lie."""
    return seed_folder / f"{_PREFIX}{number}"


def owner(attempt_folder: Path) -> Owner | None:
    """Who made an attempt; None if it does not say so."""
    try:
        return Owner(**json.loads((attempt_folder / OWNER).read_bytes()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def live(attempt_folder: Path, lease: float, write: bool = True, watch: bool = False) -> bool:
    """Whether an attempt is being made: it has not ended, and its process runs.

    Where that cannot be seen from here: and its last heartbeat is younger than the longer of `lease` and its owner's,
    in seconds. Telling the time of the file server takes writing a file; without `write` the local clock has to do.
    With `watch` none is taken for dead for whom a heartbeat comes while one waits for it, a quarter of the lease: after
    a clock was set or a laptop woke up, all look dead until their next.
    """
    beat = attempt_folder / BEAT
    if not beat.exists():
        return False
    holder = owner(attempt_folder)
    runs = holder.runs() if holder else None
    if runs is not None:
        return runs
    longer = max(lease, holder.lease if holder else 0)
    return heartbeat.fresh(beat, longer, write) or (watch and heartbeat.comes(beat, longer))


class Deleted(AblationError):
    """The attempt's folder is gone: what would be written there, nobody would find."""


class Attempt:
    """An attempt held by this process."""

    def __init__(self, seed_folder: Path, number: int, lease: float) -> None:
        self.seed_folder, self.number, self.folder = seed_folder, number, folder(seed_folder, number)
        self._cancelled = self._lost = False
        self._ended = threading.Event()
        self._look()
        # A daemon: no heartbeat keeps an interpreter alive.
        self._thread = threading.Thread(
            target=self._beat, args=(lease / heartbeat.BEATS,), name="heartbeat", daemon=True
        )
        self._thread.start()

    @property
    def cancelled(self) -> bool:
        """Whether it shall save and stop; as of the last heartbeat."""
        return self._cancelled

    @property
    def lost(self) -> bool:
        """Whether another process was given the seed; as of the last heartbeat. `check` knows it now."""
        return self._lost

    def check(self) -> None:
        """Call this before writing anything.

        Raises:
            Fenced: a higher attempt exists.
            Deleted: not even this one does.
        """
        newest = latest(self.seed_folder)
        if newest < self.number:
            raise Deleted(f"{self.folder}: was deleted while it was trained; the same command trains it anew")
        if newest > self.number:
            raise Fenced(
                f"{self.folder}: lost to attempt {newest}, of {owner(folder(self.seed_folder, newest))}; "
                "nothing more is written here, and the trial goes on there"
            )

    def release(self) -> None:
        """The attempt has ended. May be called again."""
        self._ended.set()
        self._thread.join()
        with suppress(OSError):  # one that stays, on a disk gone read-only, is not live without its process
            (self.folder / BEAT).unlink()

    def _beat(self, every: float) -> None:
        while not self._ended.wait(every):
            with suppress(OSError):  # a file server that is away for a while, or a later attempt took it away
                os.utime(self.folder / BEAT)
            with suppress(OSError):  # `check` is the judge
                self._look()

    def _look(self) -> None:
        self._cancelled = (self.seed_folder / CANCEL).exists()
        self._lost = latest(self.seed_folder) > self.number
