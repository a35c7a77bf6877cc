"""Frozen code is started by the names that its modules had when it was frozen, whatever they are called since."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from launch.sweep import entry_points
from launch.sweep import submission as sweep
from launch.sweep.submission import Submission
from launch.workers.process import Slot, WorkerProcess
from tests.launch.workshop import BASE, ROOT, submission, until

# Commands of a SLURM that takes every job and has forgotten it at once.
SLURM = {"sbatch": "echo Submitted batch job 7", "squeue": "", "sacct": "", "scontrol": "echo MaxArraySize = 9"}


def said(made: Submission, entries: dict[str, str] | None) -> Submission:
    """The submission with other entries written in its file; None: it says nothing, as those of former versions."""
    path = made.folder / "submission.json"
    head: dict[str, Any] = json.loads(path.read_text())
    del head["entries"]
    path.write_text(json.dumps(head if entries is None else {**head, "entries": entries}))
    return sweep.load(made.folder)


def file(code: Path, module: str) -> Path:
    return code.joinpath(*module.split(".")).with_suffix(".py")


@pytest.mark.parametrize("module", entry_points.NOW.values())
def test_what_a_submission_names_can_be_run(module: str) -> None:
    assert 'if __name__ == "__main__"' in file(ROOT, module).read_text()


@pytest.mark.parametrize(
    "entries", [{entry_points.WORKER: "launch.hand_of_tomorrow"}, pytest.param(None, marks=pytest.mark.slow)]
)
def test_the_worker_is_started_by_its_name_in_the_frozen_code(tmp_path: Path, entries: dict[str, str] | None) -> None:
    made = submission(tmp_path, [])
    old = said(made, entries)
    there = file(made.code, entries[entry_points.WORKER] if entries else "launch.worker")
    there.parent.mkdir(exist_ok=True)
    file(made.code, entry_points.NOW[entry_points.WORKER]).rename(there)
    child = WorkerProcess(old, Slot("slot"), 1.0)
    events: list[dict[str, Any]] = []
    until(lambda: events.extend(child.events()) or events or child.has_ended)
    child.retire()
    assert events == [{"event": "ready"}], child.log.read_text()


def modules(scripts: set[Path]) -> set[str]:
    return {found for path in scripts for found in re.findall(r" -m (\S+) ", path.read_text())}


def test_jobs_are_started_by_their_names_in_the_frozen_code(tmp_path: Path) -> None:
    for command, answer in SLURM.items():
        path = tmp_path / "bin" / command
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{answer}\n")
        path.chmod(0o755)
    out, env = tmp_path / "out", {**os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}

    def run(*line: str) -> set[str]:
        before = {*out.glob(".sweeps/main/1/jobs/*.sh")}
        done = subprocess.run([sys.executable, *line], cwd=ROOT, env=env, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        return modules({*out.glob(".sweeps/main/1/jobs/*.sh")} - before)

    options = ("hydra/launcher=slurm", "hydra.launcher.resources.cpus=1", "hydra.launcher.check=false")
    assert run("launch/run.py", *BASE, *options, f"out={out}") == {
        entry_points.NOW[entry_points.JOB],
        entry_points.NOW[entry_points.KEEPER],
    }
    made = sweep.load(out / ".sweeps/main/1")
    assert made.entries == entry_points.NOW
    said(made, {entry_points.JOB: "launch.job_of_tomorrow", entry_points.KEEPER: "launch.keeper_of_tomorrow"})
    retry = ("-m", "launch", "retry", "--out", str(out))
    assert run(*retry) == {"launch.job_of_tomorrow", "launch.keeper_of_tomorrow"}
    said(made, None)
    assert run(*retry) == {"launch.slurm.job", "launch.slurm.keep"}
