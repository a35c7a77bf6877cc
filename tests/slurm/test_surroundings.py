"""What surrounds a submission reaches neither its jobs nor their trials: allocations within allocations, odd names."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from slurm.cluster import Cluster, call, until
from slurm.lab import LONG, Lab, attempts, check, rounds
from tiny import SMALL_MODEL, TINY

from launch.compose.paths import ROOT
from launch.sweep import submission as sweep

OUTER = """#!/bin/bash
export SBATCH_PARTITION=nowhere SBATCH_TIMELIMIT=1 SBATCH_EXPORT=NONE SBATCH_ARRAY_INX=0-99 SBATCH_EXCLUSIVE=user
srun --ntasks=1 bash -c {command}
"""
NONSENSE = (
    "export SLURM_NTASKS=3 SLURM_NTASKS_PER_GPU=3 SRUN_CPUS_PER_TASK=9 SLURM_EXPORT_ENV=NONE SLURM_ARRAY_TASK_ID=7"
)


def test_submitted_from_a_task_of_an_array_inside_an_allocation(cluster: Cluster, tmp_path: Path) -> None:
    out, seen = tmp_path / "runs", tmp_path / "seen"
    line = [sys.executable, "launch/run.py", "-m", "hydra/launcher=slurm", *TINY, *SMALL_MODEL, "optim.lr=0.1,0.2"]
    line += ["hydra.launcher.resources.cpus=1", "hydra.launcher.keeper=false", f"out={out}"]
    line += [f'hydra.launcher.setup=["env -0 > {seen}.$SLURM_ARRAY_TASK_ID"]']
    inside = f"{NONSENSE}; cd {shlex.quote(str(ROOT))} && {shlex.join(line)}"
    outer = tmp_path / "outer.sh"
    outer.write_text(OUTER.format(command=shlex.quote(inside)))
    log = tmp_path / "outer.out"
    options = ["--array=5-5", "--gpus-per-node=2", "--cpus-per-task=3", "--mem=500M", f"--output={log}"]
    call("salloc", "-Q", "-n2", "sbatch", *options, str(outer))
    until(lambda: log.exists() and "try again" in log.read_text(), "the submission from within")
    said = log.read_text()
    assert "trials: 2 in jobs" in said
    assert re.search(
        r"note: variables that are not passed on to the jobs: CUDA_VISIBLE_DEVICES,.*, SRUN_CPUS_PER_TASK,"
        r".* \d\d of SLURM's own;",
        said,
    )
    (folder,) = sweep.submissions(out)
    submission = sweep.load(folder)
    assert rounds(submission)[-1].done == 2
    assert attempts(submission) == [1, 1]
    for task in ("0", "1"):
        names = dict(e.split("=", 1) for e in Path(f"{seen}.{task}").read_text().split("\0") if "=" in e)
        assert (names["SLURM_ARRAY_TASK_ID"], names["SLURM_NTASKS"], names["SLURM_CPUS_ON_NODE"]) == (task, "1", "1")
        assert len(names["CUDA_VISIBLE_DEVICES"].split(",")) == 1
        assert not [name for name in names if name.startswith(("SBATCH_", "SRUN_")) or name == "SLURM_NTASKS_PER_GPU"]


def test_out_and_the_interpreter_may_have_any_name(cluster: Cluster, tmp_path: Path) -> None:
    """In job files, in names of logs, where SLURM puts numbers for %j, and in a job's own shell."""
    (folder := tmp_path / 'it\'s 100%j [a] $HOME, "q" ü #1').mkdir()
    (python := folder / "my python").write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    python.chmod(0o755)
    lab = Lab(folder)
    submission, report = lab.submit(lab.arms(1), python=shlex.quote(str(python)))
    assert rounds(submission)[-1].done == 1
    (log,) = (submission.folder / "jobs").glob("*.out")
    assert log.name == f"{report.jobs[0]}_0_log.out"
    assert log.read_text().startswith(f"Python {sys.version.split()[0]}, {shlex.quote(str(python))}, on n")
    check(submission)


def test_of_several_clusters_the_one_is_asked_that_was_chosen(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """sbatch then adds its name to the job's number."""
    name = call("scontrol", "show", "config").partition("ClusterName")[2].split()[1]
    monkeypatch.setenv("SLURM_CLUSTERS", name)
    lab = Lab(tmp_path)
    submission, report = lab.submit(lab.arms(1))
    assert report.jobs[0].isdigit()
    assert rounds(submission)[-1].done == 1
    assert attempts(submission) == [1]


def running(cluster: Cluster) -> int:
    return cluster.queue("%T").count("RUNNING")


@pytest.mark.slow
def test_never_more_jobs_of_an_array_than_asked_for_unless_somebody_changes_that(
    cluster: Cluster, tmp_path: Path
) -> None:
    lab = Lab(tmp_path)
    lab.brake(1)
    submission, report = lab.submit(lab.arms(5, LONG), parallel=2)
    until(lambda: running(cluster) == 2, "two to run")
    lab.brake(None)
    seen = {2}

    def two_done() -> bool:
        seen.add(running(cluster))
        return len(cluster.queue()) <= 3

    until(two_done, "two to be done")
    lab.brake(1)
    change = ["scontrol", "update", f"JobId={report.jobs[0]}", "ArrayTaskThrottle=3"]
    subprocess.run(change, stderr=subprocess.DEVNULL)  # fails for the tasks that have ended, and changes the others
    until(lambda: running(cluster) == 3, "three to run")
    assert max(seen) == 2
    lab.brake(None)
    assert rounds(submission)[-1].done == 5
    assert attempts(submission) == [1] * 5
