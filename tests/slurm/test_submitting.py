"""Between sbatch's answer and the truth: nothing is submitted twice, nothing is forgotten, limits are obeyed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from slurm.cluster import Cluster, call, until
from slurm.lab import LONG, Lab, attempts, check, done, options, rounds
from tiny import SMALL_MODEL, TINY

from ablation.errors import ConfigError
from launch.compose.paths import ROOT
from launch.slurm import submit
from launch.slurm.records import read_arrays, read_keeper
from launch.slurm.rounds import make_round, make_rounds, report_lines
from launch.status.outcome import exit_code
from launch.sweep import submission as sweep

StandIn = Callable[[str, str], Path]


def test_sbatch_that_fails_after_accepting(cluster: Cluster, tmp_path: Path, stand_in: StandIn) -> None:
    lab = Lab(tmp_path)
    stand_in("sbatch", '"$REAL" "$@" > /dev/null; echo "sbatch: error: Socket timed out" >&2; exit 1')
    submission, report = lab.submit(lab.arms(2), keeper=True)
    assert [array.job for array in read_arrays(submission.folder)] == list(report.jobs)
    assert report.notes == ()
    keeper = read_keeper(submission).number
    assert f"afterany:{report.jobs[0]}_*" in call("squeue", "-h", "-j", keeper, "-o", "%E")
    assert len(cluster.queue()) == 3
    assert rounds(submission)[-1].done == 2
    assert attempts(submission) == [1, 1]
    check(submission)


def test_kill_9_of_who_submits_right_after_sbatch(cluster: Cluster, tmp_path: Path, stand_in: StandIn) -> None:
    lab = Lab(tmp_path)
    fatal = stand_in("sbatch", '"$REAL" "$@"; kill -9 $PPID')
    submission = sweep.create(lab.arms(1), options(), "the command")
    line = "import sys, pathlib; from launch.slurm.rounds import make_round; make_round(pathlib.Path(sys.argv[1]))"
    died = subprocess.run([sys.executable, "-c", line, str(submission.folder)], timeout=60, capture_output=True)
    assert died.returncode == -9
    assert [array.job for array in read_arrays(submission.folder)] == [""]
    fatal.unlink()
    assert make_round(submission.folder).in_queue == 1
    assert len(cluster.queue()) <= 1
    assert rounds(submission)[-1].done == 1
    assert (len(read_arrays(submission.folder)), attempts(submission)) == (1, [1])


def test_ctrl_c_while_it_submits(cluster: Cluster, tmp_path: Path, stand_in: StandIn) -> None:
    out = tmp_path / "runs"
    stand_in("sbatch", '"$REAL" "$@"; kill -INT $PPID; sleep 1')
    line = [sys.executable, "launch/run.py", "-m", "hydra/launcher=slurm", *TINY, *SMALL_MODEL, f"out={out}"]
    line += ["hydra.launcher.resources.cpus=1", "hydra.launcher.keeper=false"]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 130
    said = [text.split()[0] for text in done.stderr.splitlines()[-4:]]
    assert said == ["stopped", "look", "stop", "try"], done.stderr
    assert "jobs that SLURM has taken go on" in done.stderr
    (folder,) = sweep.submissions(out)
    submission = sweep.load(folder)
    assert rounds(submission)[-1].done == 1
    assert (len(read_arrays(folder)), attempts(submission)) == (1, [1])


def test_an_impossible_option_writes_nothing(cluster: Cluster, tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    with pytest.raises(ConfigError, match="pack=0"):
        submit.run(lab.arms(1), options(pack=0), "the command")
    assert sweep.submissions(lab.out) == []


def test_a_folder_that_slurm_cannot_write_to_is_refused_before_it_is_made(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "back\\slash")
    lab.folder.mkdir()
    with pytest.raises(ConfigError, match="out: SLURM writes no log below"):
        submit.run(lab.arms(1), options(), "the command")
    assert not lab.out.exists()


@pytest.fixture
def three_jobs_at_most(cluster: Cluster) -> Iterator[None]:
    call("sacctmgr", "-i", "-Q", "modify", "qos", "normal", "set", "MaxSubmitJobsPerUser=3")
    yield
    call("sacctmgr", "-i", "-Q", "modify", "qos", "normal", "set", "MaxSubmitJobsPerUser=-1")


@pytest.mark.slow
@pytest.mark.usefixtures("three_jobs_at_most")
def test_what_a_limit_leaves_is_submitted_by_the_keeper_later(cluster: Cluster, tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    submission, report = lab.submit(lab.arms(3, "epochs=1"), keeper=True)
    assert (report.in_queue, report.not_submitted, len(cluster.queue())) == (2, 1, 3)
    assert "QOSMaxSubmitJobPerUserLimit" in report.notes[0]
    until(lambda: done(submission), "the keepers")
    assert attempts(submission) == [1, 1, 1]
    until(lambda: not cluster.queue(), "the last keeper to end")


def test_one_grid_from_two_shells(cluster: Cluster, tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.brake(0.5)
    first, _ = lab.submit(lab.arms(2))
    second, _ = lab.submit(lab.arms(2))
    assert len(cluster.queue()) == 4
    assert rounds(second)[-1].done == 2
    assert rounds(first)[-1].done == 2
    assert attempts(first) == [1, 1]
    check(first)


def test_one_grid_from_two_shells_of_which_the_later_dies(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a full disk, after it was frozen and before any job: the other shell submits and waits for its jobs."""
    monkeypatch.setattr("launch.slurm.rounds.PAUSE", 2.0)
    lab = Lab(tmp_path)
    first, second = (sweep.create(lab.arms(2), options(), "the command") for _ in range(2))
    (_, own), (later, its) = make_rounds(first.folder)
    assert (own.taken_over, own.in_queue, own.given_up) == (2, 0, {})
    assert report_lines(own) == ["trials: 2 left to a later submission"]
    assert (later, its.in_queue) == (second.folder, 2)
    assert exit_code(submit.wait_for_end(first)) == 0
    check(first)


@pytest.mark.slow
def test_while_one_waits_a_later_shell_dies(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("launch.slurm.rounds.PAUSE", 2.0)
    lab = Lab(tmp_path)
    lab.brake(1)
    first, report = lab.submit(lab.arms(1, LONG))
    lab.begun(first)
    sweep.create(lab.arms(1, LONG), options(), "the command")
    call("scancel", report.jobs[0])
    lab.brake(None)
    assert exit_code(submit.wait_for_end(first)) == 0
    check(first)
