"""The command line: leave at once, or wait; what is edited or deleted afterwards changes nothing."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from slurm.cluster import Cluster, call, until
from slurm.lab import BRAKE, Lab, attempts, check, done, saved
from tiny import SMALL_MODEL, TINY

from launch.compose.paths import ROOT
from launch.sweep import submission as sweep


class Shell:
    """A checkout of its own, in which commands are typed."""

    def __init__(self, folder: Path, out: Path) -> None:
        self.checkout = folder / "checkout"
        for name in ("ablation", "launch", "conf"):
            shutil.copytree(ROOT / name, self.checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(BRAKE, self.checkout)
        self.lab = Lab(folder)
        self.out = out

    def start(self, *more: str, rates: str = "0.1,0.2") -> subprocess.Popen[str]:
        line = [sys.executable, "launch/run.py", "-m", "hydra/launcher=slurm", "hydra.launcher.resources.cpus=1"]
        line += [*TINY, *SMALL_MODEL, f"optim.lr={rates}", f"out={self.out}", "lease=6"]
        line += ["+aug.brake._target_=brake.brake", "+aug.brake.arm=0", *more]
        env = {**os.environ, "PYTHONPATH": str(self.checkout), "BRAKE": str(self.lab.folder / "brake")}
        return subprocess.Popen(
            line, cwd=self.checkout, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setenv("BRAKE", str(tmp_path / "brake"))
    return Shell(tmp_path, tmp_path / "runs")


@pytest.mark.slow
def test_the_whole_checkout_may_be_deleted_after_submitting(cluster: Cluster, shell: Shell) -> None:
    left = shell.start("+hydra.launcher.resources.begin=now+1hour")
    said, _ = left.communicate(timeout=120)
    assert left.returncode == 0, said
    assert "ablation watch main" in said
    shutil.rmtree(shell.checkout)
    shell.checkout.mkdir()  # the jobs' working folder
    (folder,) = sweep.submissions(shell.out)
    submission = sweep.load(folder)
    arrays = {job.partition("_")[0] for job in cluster.queue() if "_" in job}
    for job in arrays:
        call("scontrol", "update", f"JobId={job}", "StartTime=now")
    until(lambda: done(submission) and not cluster.queue(), "the jobs and the keeper")
    assert attempts(submission) == [1, 1]
    logs = [path.read_text() for path in (folder / "jobs").glob("*.out")]
    assert sum("2 done" in log for log in logs) == 1
    check(submission)


def test_ctrl_c_while_waiting_leaves_the_jobs_and_the_same_command_waits_again(cluster: Cluster, shell: Shell) -> None:
    shell.lab.brake(1)
    waiting = shell.start("hydra.launcher.wait=true", "hydra.launcher.keeper=false", "epochs=30")
    until(lambda: len(sweep.submissions(shell.out)) == 1, "the submission")
    submission = sweep.load(sweep.submissions(shell.out)[0])
    until(lambda: all(saved(shell.out / p.arm.id / "seed-0") for p in submission.arms.values()), "both to have begun")
    waiting.send_signal(signal.SIGINT)
    said, _ = waiting.communicate(timeout=60)
    assert waiting.returncode == 130, said
    assert "its jobs go on" in said
    assert len(cluster.queue()) == 2
    again = shell.start("hydra.launcher.wait=true", "hydra.launcher.keeper=false", "epochs=30")
    until(lambda: len(sweep.submissions(shell.out)) == 2, "the second submission")
    shell.lab.brake(None)
    said, _ = again.communicate(timeout=120)
    assert again.returncode == 0, said
    assert "2 of 2 done" in said
    assert attempts(submission) == [1, 1]
    check(submission)


@pytest.mark.slow
def test_an_option_that_is_edited_between_two_submissions_changes_the_second(cluster: Cluster, shell: Shell) -> None:
    """Both of one name; the jobs of the first wait meanwhile."""
    option = shell.checkout / "conf" / "optim" / "sgd.yaml"
    before = option.read_text()
    assert "momentum: 0.9" in before
    for text in (before, before.replace("momentum: 0.9", "momentum: 0.5")):
        option.write_text(text)
        left = shell.start("hydra.launcher.keeper=false", "+hydra.launcher.resources.begin=now+1hour", rates="0.1")
        said, _ = left.communicate(timeout=120)
        assert left.returncode == 0, said
    first, second = (sweep.load(folder) for folder in sweep.submissions(shell.out))
    option.write_text(before.replace("momentum: 0.9", "momentum: none of these"))
    for job in {id_.partition("_")[0] for id_ in cluster.queue()}:
        call("scontrol", "update", f"JobId={job}", "StartTime=now")
    until(lambda: done(first) and done(second), "the jobs")
    for submission, momentum in ((first, 0.9), (second, 0.5)):
        (planned,) = submission.arms.values()
        assert planned.config["optim"]["momentum"] == momentum
        assert yaml.safe_load((shell.out / planned.arm.id / "config.yaml").read_text()) == planned.config
        check(submission)  # against a run of this configuration
