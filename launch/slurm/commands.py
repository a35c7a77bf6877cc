"""SLURM's own commands, called gently and never waited for longer than the caller can bear."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from ablation.errors import AblationError

# A person's settings, which change what is printed, and the language of it.
_FORMAT_VARIABLES = ("SQUEUE_", "SACCT_", "SCANCEL_", "SLURM_TIME_FORMAT", "LC_", "LANG")
_MOST = 500  # job numbers on one command line, which has an end


@dataclass(frozen=True)
class Patience:
    """How long SLURM is waited for: `seconds` a try, and one more try after each of these pauses."""

    seconds: float
    pauses: tuple[float, ...] = ()


ROUND = Patience(30, (1, 4))  # what is decided depends on the answer, and a busy controller answers late
LOOK = Patience(10)  # a person waits, and files say most of it


def call(command: Sequence[str], patience: Patience = ROUND) -> str:
    """A command's standard output.

    Raises:
        AblationError: it failed each time, or gave no answer in time.
    """
    env = {k: v for k, v in os.environ.items() if not k.startswith(_FORMAT_VARIABLES)} | {"LC_ALL": "C.UTF-8"}
    trouble = ""
    for pause in (*patience.pauses, None):
        try:
            done = subprocess.run(
                command, env=env, capture_output=True, text=True, errors="replace", timeout=patience.seconds
            )
        except FileNotFoundError as e:
            raise AblationError(f"{command[0]}: no such command; run this where SLURM's commands are") from e
        except subprocess.TimeoutExpired:
            trouble = f"no answer within {patience.seconds:.0f} s"
        else:
            if done.returncode == 0:
                return done.stdout
            trouble = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        if pause is not None:
            time.sleep(pause)
    raise AblationError(f"{command[0]}: {trouble}")


def split_ids(ids: Sequence[str]) -> list[Sequence[str]]:
    """In parts that fit on one command line."""
    return [ids[start : start + _MOST] for start in range(0, len(ids), _MOST)]


@cache
def max_array_size() -> int:
    """How many tasks an array may have.

    Raises:
        AblationError: SLURM cannot be asked.
    """
    found = re.search(r"^MaxArraySize\s*=\s*(\d+)", call(["scontrol", "show", "config"]), re.MULTILINE)
    return int(found[1]) if found else 1001


def cancel_jobs(ids: Sequence[str], patience: Patience = ROUND) -> None:
    """scancel these jobs; those that have ended are no error.

    Raises:
        AblationError: SLURM cannot be asked.
    """
    for part in split_ids(ids):
        call(["scancel", "-Q", *part], patience)


def release_jobs(ids: Sequence[str]) -> str:
    """Let jobs start that are held; returns why that cannot be, as when an administrator holds them."""
    try:
        for id_ in ids:
            call(["scontrol", "release", id_])
    except AblationError as e:
        return str(e)
    return ""


def update_job(id_: str, **values: str) -> None:
    """Change a waiting job.

    Raises:
        AblationError: SLURM refuses.
    """
    call(["scontrol", "update", f"JobId={id_}", *(f"{k}={v}" for k, v in values.items())])
