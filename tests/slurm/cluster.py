"""What tests do with the cluster."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


class Cluster:
    """Drives `cluster.sh` and asks SLURM."""

    SCRIPT = Path(__file__).with_name("cluster.sh")
    ARRAY = 6  # tasks an array may have

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        settings = {"DIR": str(folder), "MAXARRAY": str(self.ARRAY), **settings}
        self.env = os.environ | {f"SLURM_TEST_{name}": value for name, value in settings.items()}

    def script(self, *arguments: str) -> None:
        done = subprocess.run(
            ["bash", str(self.SCRIPT), *arguments], env=self.env, capture_output=True, text=True, timeout=90
        )
        assert done.returncode == 0, done.stderr

    def empty(self) -> None:
        """No job is left, and every node serves."""
        call("scancel", "-Q", "-u", "root")
        until(lambda: not self.queue(), "the queue to be empty", 30)

    def queue(self, form: str = "%i") -> list[str]:
        return call("squeue", "-h", "-r", "-o", form).split()

    def gone(self, job: str) -> None:
        until(lambda: job not in self.queue(), f"{job} to have ended")

    def states(self, job: str) -> dict[str, tuple[str, str]]:
        """Id -> state and exit code by the accounts, once every record has come to its end."""

        def ended() -> dict[str, tuple[str, str]] | None:
            lines = call("sacct", "-X", "-n", "-P", "-j", job, "--format=JobID,State,ExitCode").splitlines()
            found = {id_: (state.split()[0], code) for id_, state, code in (line.split("|") for line in lines)}
            busy = {"PENDING", "RUNNING", "REQUEUED"} & {state for state, _ in found.values()}
            return found if found and not busy else None

        return until(ended, f"the accounts of {job}")


def call(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def until(look: Callable[[], T], what: str, seconds: float = 300) -> T:
    """Look again and again until it is so."""
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.25)
    return found
