"""Where a soak takes place: a cluster, a disk and a tracker of its own, shells, and what there is to be hit."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from slurm.cluster import Cluster
from slurm.lab import BRAKE
from slurm.shells import Shells, patient
from tiny import SMALL_MODEL, TINY

from ablation.errors import AblationError
from ablation.store import attempt, process
from ablation.store.attempt import Owner
from launch.sweep import submission as sweep
from launch.sweep.submission import Submission

SWEEP = "soak"
NODES = ("n1", "n2", "n3")
_DISK, _TRACKER = "384m", "64m"
_DEAF = ("Unable to contact", "authentication", "did not answer")
_COMMON = (
    *TINY, *SMALL_MODEL, "hydra/launcher=slurm", "hydra.launcher.resources.cpus=1", f"sweep={SWEEP}", "lease=6",
    "epochs=60", "+aug.brake._target_=brake.brake", "+aug.brake.arm=0", "track=[mlflow]",
)  # fmt: skip
# Of each wave: what is submitted in one command each. {0}, {1}: learning rates of this wave.
_GRIDS = (
    ("optim.lr={0},{1}", "seeds=2", "hydra.launcher.pack=2"),
    ("optim.lr={0}", "seeds=2", "loss=distill", "teacher=same", "rounds=2", "hydra.launcher.chain=2"),
    ("optim.lr={0}", "aug=cutout", "seeds=2", "fuse=true"),
)


@dataclass
class Site:
    """Everything lies below one folder."""

    folder: Path
    cluster: Cluster
    began: float = field(default_factory=time.monotonic)
    waves: int = 0  # begun
    later: list[tuple[float, str, Callable[[], object]]] = field(default_factory=list)  # what heals when

    def __post_init__(self) -> None:
        tricks = self.folder / "tricks"
        for part in (tricks, self.brake.parent):
            part.mkdir(parents=True)
        shutil.copy(BRAKE, tricks)
        self.brake.write_text("0.5")
        self.env = {"BRAKE": str(self.brake.parent), "PYTHONPATH": str(tricks), "OMP_NUM_THREADS": "1"}
        self.shells = Shells(self.clock, self.env, self.folder)
        for mount, size in ((self.disk, _DISK), (self.tracker.parent, _TRACKER)):
            mount.mkdir()
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(mount)], check=True)
        self._loaded: dict[Path, Submission] = {}

    def clear(self) -> None:
        """Take the disks away."""
        for mount in (self.disk, self.tracker.parent):
            subprocess.run(["umount", "-l", str(mount)], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def clock(self) -> float:
        """Seconds since the soak began."""
        return time.monotonic() - self.began

    def slurm_version(self) -> str:
        """As SLURM tells it."""
        return subprocess.run(["sinfo", "-V"], capture_output=True, text=True).stdout.strip()

    @property
    def brake(self) -> Path:
        return self.folder / "brake" / "0"

    @property
    def disk(self) -> Path:
        return self.folder / "disk"

    @property
    def out(self) -> Path:
        return self.disk / "runs"

    @property
    def tracker(self) -> Path:
        return self.folder / "tracker" / "mlflow.db"

    # ---- what is typed

    def verb(self, *words: str) -> list[str]:
        """A verb about this sweep."""
        return [words[0], SWEEP, "--out", str(self.out), *words[1:]]

    def grid(self, wave: int, number: int) -> list[str]:
        """The words of a submission."""
        rates = [f"{0.01 * (1 + 10 * wave + k):.2f}" for k in (2 * number, 2 * number + 1)]
        own = [word.format(*rates) for word in _GRIDS[number]]
        return ["-m", *_COMMON, *own, f"out={self.out}", f"track.mlflow.uri=sqlite:///{self.tracker}"]

    def wave(self) -> None:
        """Let the next grids be submitted, each from a shell of its own."""
        self.waves += 1
        for number in range(len(_GRIDS)):
            line = self.grid(self.waves - 1, number)
            self.shells.aside(lambda line=line: self.shells.run(*line))  # type: ignore[misc]

    def random_grid(self, draw: Random) -> list[str]:
        """One that was submitted before, or is right now."""
        return self.grid(draw.randrange(max(1, self.waves)), draw.randrange(len(_GRIDS)))

    # ---- what there is

    def submissions(self) -> list[Submission]:
        """Oldest first; those that are being written are left out."""
        for folder in sweep.submissions(self.out, SWEEP):
            if folder not in self._loaded:
                with suppress(AblationError):
                    self._loaded[folder] = sweep.load(folder)
        return list(self._loaded.values())

    def trials(self) -> dict[str, Path]:
        """The folder of every trial asked for, by label."""
        return {
            f"{id_}/seed-{seed}": self.out / id_ / f"seed-{seed}"
            for s in self.submissions()
            for id_, seed in sorted(s.trials)
        }

    def trained(self) -> list[tuple[str, Owner]]:
        """The trials that a process trains now, with that process, by label."""
        found = []
        for label, folder in sorted(self.trials().items()):
            newest = attempt.folder(folder, attempt.latest(folder))
            owner = attempt.owner(newest)
            if owner and (newest / attempt.BEAT).exists() and process.born(owner.pid) == owner.born:
                found.append((label, owner))
        return found

    def jobs(self, *states: str, keepers: bool = False) -> list[str]:
        """SLURM's jobs in these states: those of trials, which are arrays, or the keepers."""
        lines = call_squeue(*states)
        return sorted(id_ for id_ in lines if ("_" in id_) != keepers)

    def processes(self, variable: str) -> Iterator[int]:
        """Those that have this in their environment, zombies aside."""
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                pid = int(folder.name)
                if variable.encode() in (folder / "environ").read_bytes().split(b"\0") and process.born(pid):
                    yield pid

    def heal_due(self, every: bool = False) -> Iterator[str]:
        """End the faults whose time is over, or all; what SLURM does not hear is said again later."""
        for entry in sorted(self.later, key=lambda e: e[0]):
            if every or entry[0] <= self.clock():
                self.later.remove(entry)
                said = str(entry[2]() or "")
                if any(word in said for word in _DEAF):
                    self.later.append((self.clock() + 3, *entry[1:]))
                yield f"{entry[1]} {said}".strip()

    def daemon(self, act: str, name: str) -> str:
        """Start or kill a daemon of the cluster."""
        return patient(["env", *(f"{k}={v}" for k, v in self.cluster.env.items() if k.startswith("SLURM_TEST")),
                        "bash", str(self.cluster.SCRIPT), act, name])  # fmt: skip


def call_squeue(*states: str) -> list[str]:
    """The numbers of the jobs in these states, or of all; none if SLURM cannot be asked."""
    chosen = [f"--states={','.join(states)}"] if states else []
    try:
        done = subprocess.run(
            ["squeue", "-h", "-r", *chosen, "-o", "%F_%K"], capture_output=True, text=True, timeout=10, check=True
        )
    except (subprocess.SubprocessError, OSError):
        return []
    return [line.removesuffix("_N/A") for line in done.stdout.split()]
