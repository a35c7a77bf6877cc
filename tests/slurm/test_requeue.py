"""Jobs that are put back, held, or stopped and let go on by others: each trial goes on where it was, in one place."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from slurm.cluster import Cluster, call, until
from slurm.lab import LONG, SCRATCH, Lab, attempts, check, done, folders, rounds, saved, worker

from launch.backends import status_of
from launch.slurm import sbatch
from launch.slurm.records import read_arrays, read_decisions
from launch.slurm.rounds import make_round
from launch.sweep.submission import Submission


def again(job: str) -> None:
    """`scontrol requeue`; of a job that waits SLURM says so, and does nothing."""
    subprocess.run(["scontrol", "requeue", job], capture_output=True, timeout=60, check=False)


def in_one_place(submission: Submission) -> None:
    """Whatever is done to its job, nothing is submitted a second time, and no try is counted."""
    report = make_round(submission.folder)
    assert (report.in_queue, report.jobs, report.retried, report.given_up) == (1, (), {}, {})


@pytest.mark.slow
def test_requeued_while_it_runs_while_it_waits_and_while_it_starts(cluster: Cluster, tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.brake(1)
    submission, report = lab.submit(lab.arms(1, LONG))
    job = f"{report.jobs[0]}_0"
    lab.begun(submission)
    again(job)
    in_one_place(submission)
    again(job)
    in_one_place(submission)
    until(lambda: cluster.queue("%T") == ["RUNNING"], "the job to start again")
    in_one_place(submission)
    again(job)
    in_one_place(submission)
    lab.brake(None)
    until(lambda: done(submission), "the trial")
    assert rounds(submission)[-1].done == 1
    assert saved(folders(submission)[0]) > 2
    assert (len(read_arrays(submission.folder)), read_decisions(submission.folder)) == (1, {})
    check(submission)


def test_a_job_that_failed_and_is_put_back_by_hand(cluster: Cluster, tmp_path: Path) -> None:
    """Its trial has failed, and yet it starts again, whatever a policy says."""
    lab = Lab(tmp_path)
    lab.brake("error")
    submission, report = lab.submit(lab.arms(1))
    job = f"{report.jobs[0]}_0"
    cluster.gone(job)
    assert status_of([submission]).trials[0].state.kind == "failed"
    for node in ("n1", "n2", "n3"):
        call("scontrol", "update", f"NodeName={node}", "State=DRAIN", "Reason=test")
    try:
        again(job)
        until(lambda: cluster.queue("%T") == ["PENDING"], "the job to wait")
        assert status_of([submission]).trials[0].state.kind == "queued"
    finally:
        for node in ("n1", "n2", "n3"):
            call("scontrol", "update", f"NodeName={node}", "State=RESUME")
    lab.brake(None)
    assert rounds(submission)[-1].done == 1
    assert attempts(submission) == [2]
    check(submission)


@pytest.mark.slow
def test_requeued_and_held_until_somebody_lets_it_go(cluster: Cluster, tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.brake(1)
    submission, report = lab.submit(lab.arms(1, LONG))
    job = f"{report.jobs[0]}_0"
    lab.begun(submission)
    call("scontrol", "requeuehold", job)
    until(lambda: cluster.queue("%T") == ["PENDING"], "the job to be held")
    in_one_place(submission)
    time.sleep(8)  # longer than a lease
    in_one_place(submission)
    lab.brake(None)
    call("scontrol", "release", job)
    until(lambda: done(submission), "the trial")
    assert attempts(submission) == [2]
    assert rounds(submission)[-1].done == 1
    check(submission)


def suspend(job: str, pid: int) -> None:
    call("scontrol", "suspend", job)
    until(lambda: Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T", "its worker to stop")


@pytest.mark.slow
def test_suspended_for_longer_than_its_lease(cluster: Cluster, tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.brake(1)
    submission, report = lab.submit(lab.arms(1, LONG))
    job = f"{report.jobs[0]}_0"
    lab.begun(submission)
    suspend(job, worker(submission, 0))
    time.sleep(8)
    in_one_place(submission)
    lab.brake(None)
    call("scontrol", "resume", job)
    until(lambda: done(submission), "the trial")
    assert attempts(submission) == [1]
    assert rounds(submission)[-1].done == 1
    check(submission)


@pytest.mark.slow
def test_suspended_and_meanwhile_taken_over_from_another_machine(cluster: Cluster, tmp_path: Path) -> None:
    """Whoever takes it over cannot see that its process only sleeps. The sleeper wakes up and writes nothing more.

    Its job waits a while for the other to be done, as for any trial that somebody else trains.
    """
    lab = Lab(tmp_path)
    lab.brake(1)
    submission, report = lab.submit(lab.arms(1, LONG))
    job = f"{report.jobs[0]}_0"
    lab.begun(submission)
    suspend(job, worker(submission, 0))
    time.sleep(8)
    (planned,) = submission.arms.values()
    line = [sys.executable, "launch/run.py", *planned.arm.overrides, f"out={lab.out}", "lease=6"]
    elsewhere = ["unshare", "--uts", "sh", "-c", 'echo elsewhere > /proc/sys/kernel/hostname; exec "$@"', "sh", *line]
    other = subprocess.Popen(elsewhere, cwd=Path(__file__).parents[2], env={**os.environ, "PYTHONPATH": str(SCRATCH)})
    until(lambda: attempts(submission) == [2], "the other machine")
    call("scontrol", "resume", job)
    log = sbatch.log_file(submission.folder / "jobs", job)
    until(lambda: "attempt-1: lost to attempt 2, of process" in log.read_text(), "the sleeper to notice")
    in_one_place(submission)
    lab.brake(None)
    assert other.wait(120) == 0
    cluster.gone(job)
    assert cluster.states(report.jobs[0])[job] == ("COMPLETED", "0:0")
    assert rounds(submission)[-1].done == 1
    assert attempts(submission) == [2]
    check(submission)
