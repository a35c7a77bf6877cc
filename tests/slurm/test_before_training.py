"""What keeps a job on the cluster from its trials, before Python runs: who looks is told, and what to do about it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from slurm.cluster import Cluster, call, until
from slurm.lab import Lab, attempts, check, rounds
from slurm.test_verbs import asked
from tiny import SMALL_MODEL, TINY

from ablation.errors import AblationError
from launch.cli import main
from launch.compose.paths import ROOT
from launch.slurm.records import read_arrays
from launch.slurm.rounds import make_round
from launch.sweep.submission import Submission


def start(cluster: Cluster, submission: Submission) -> None:
    """Let the jobs begin that were to begin later, and end."""
    for job in {id_.partition("_")[0] for id_ in cluster.queue()}:
        call("scontrol", "update", f"JobId={job}", "StartTime=now")
    until(lambda: not cluster.queue(), "the jobs to end")


def test_a_line_of_the_setup_that_fails(cluster: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lab = Lab(tmp_path)
    submission, _ = lab.submit(lab.arms(1), setup=["module load cuda"])
    last = rounds(submission)[-1]
    (reason,) = last.given_up.values()
    assert "hydra.launcher.setup: module load cuda: exit code 127 on n" in reason
    assert (last.done, last.retried, attempts(submission)) == (0, {}, [0])
    code, told = asked(capsys, lab, "status")
    (trial,) = told["trials"]
    assert (code, trial["state"], trial["cause"]) == (1, "failed", "config")
    assert "module load cuda" in asked(capsys, lab, "logs", "--failed")[1]["groups"][0]["message"]


def test_a_canary_that_does_not_get_as_far_as_python(cluster: Cluster, tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    submission, _ = lab.submit(lab.arms(1), setup=["module load cuda"], canary=True)
    (reason,) = rounds(submission)[-1].given_up.values()
    assert reason.startswith("held, since a canary failed: hydra.launcher.setup: module load cuda: exit code 127 on n")


def test_an_interpreter_of_ones_own_that_does_not_run(
    cluster: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No other node and no retry will help."""
    lab = Lab(tmp_path)
    submission, _ = lab.submit(lab.arms(1), python="/nonexistent/python", keeper=True)
    (reason,) = rounds(submission)[-1].given_up.values()
    assert reason.startswith("config: hydra.launcher.python=/nonexistent/python: does not run on n")
    assert "correct it, and submit the sweep again" in reason
    assert len(read_arrays(submission.folder)) == 1
    assert main(["logs", "--out", str(lab.out)]) == 0
    assert reason in " ".join(capsys.readouterr().out.split())


@pytest.mark.slow
def test_an_environment_that_was_moved_after_the_submission(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The next round's jobs run with the interpreter of who makes it; before it, status tells."""
    lab, gone = Lab(tmp_path), tmp_path / "venv" / "bin" / "python"
    gone.parent.mkdir(parents=True)
    gone.symlink_to(sys.executable)
    with monkeypatch.context() as before:
        before.setattr(sys, "executable", str(gone))
        submission, report = lab.submit(lab.arms(1), resources={"begin": "now+1hour"})
    (tmp_path / "venv").rename(tmp_path / "moved")
    start(cluster, submission)
    code, told = asked(capsys, lab, "status")
    assert (code, told["trials"][0]["state"], told["trials"][0]["cause"]) == (1, "failed", "node")
    assert f"{gone}: the interpreter of this job does not run" in told["trials"][0]["message"]
    log = submission.folder / "jobs" / f"{report.jobs[0]}_0_log.out"
    assert f"error: {gone}: the interpreter of this job does not run on n" in log.read_text()
    assert list(make_round(submission.folder).retried.values()) == ["node"]
    start(cluster, submission)
    assert rounds(submission)[-1].done == 1
    (log,) = {*log.parent.glob("*.out")} - {log}
    assert log.read_text().startswith(f"Python {sys.version.split()[0]}, {sys.executable}, on n")
    check(submission)


@pytest.mark.slow
def test_the_folder_in_which_a_sweep_was_submitted_is_gone(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab, cwd = Lab(tmp_path), tmp_path / "here"
    cwd.mkdir()
    with monkeypatch.context() as there:
        there.chdir(cwd)
        submission, _ = lab.submit(lab.arms(1), resources={"begin": "now+1hour"})
    cwd.rmdir()
    start(cluster, submission)
    with pytest.raises(AblationError, match=rf"^{cwd}: the folder in which this sweep was submitted is gone.*\(mkdir"):
        make_round(submission.folder)
    assert cluster.queue() == []
    cwd.mkdir()
    make_round(submission.folder)
    start(cluster, submission)
    last = rounds(submission)[-1]
    assert (last.done, attempts(submission)) == (1, [1])
    check(submission)


def test_what_a_job_wrote_is_told_where_srun_starts_nothing(cluster: Cluster, tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    setup = ["export SLURM_NTASKS_PER_GPU=9"]
    submission, _ = lab.submit(lab.arms(1), setup=setup, retry={"node": {"tries": 0}})
    (reason,) = rounds(submission)[-1].given_up.values()
    assert reason.startswith("node")
    assert "its log ends with 'srun: error: Unable to create step" in reason


def test_a_container_is_asked_of_sbatch_which_says_that_it_has_none(cluster: Cluster, tmp_path: Path) -> None:
    line = [sys.executable, "launch/run.py", "-m", "hydra/launcher=slurm", *TINY, *SMALL_MODEL, f"out={tmp_path}/runs"]
    line += ['+hydra.launcher.resources.container-image="nvcr.io#nvidia/pytorch:24.01"', "hydra.launcher.keeper=false"]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode in (1, 2)
    assert "unrecognized option '--container-image=nvcr.io#nvidia/pytorch:24.01'" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert cluster.queue() == []
