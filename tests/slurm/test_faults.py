"""What goes wrong with trials and jobs; in the end each is done once, as if nothing had happened."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from slurm.cluster import Cluster, call, until
from slurm.lab import LONG, Lab, attempts, check, done, folders, options, parent, rounds, saved, worker

from launch.slurm.records import read_arrays
from launch.slurm.rounds import make_round
from launch.sweep import submission as sweep

StandIn = Callable[[str, str], Path]


@pytest.mark.slow
def test_a_trial_that_fails_fails_its_job_and_is_tried_again_only_if_asked(cluster: Cluster, tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.brake("error", arm=0)
    submission, report = lab.submit(lab.arms(2))
    last = rounds(submission)[-1]
    (label,) = last.given_up
    assert (last.done, last.given_up[label]) == (1, "error: the trick is broken")
    assert cluster.states(report.jobs[0]) == {
        f"{report.jobs[0]}_0": ("FAILED", "1:0"), f"{report.jobs[0]}_1": ("COMPLETED", "0:0"),
    }  # fmt: skip
    assert make_round(submission.folder).over  # looking again spends nothing
    lab.brake(None)
    assert make_round(submission.folder, again=[label]).in_queue == 1
    assert rounds(submission)[-1].done == 2
    check(submission)


def test_kill_9_of_a_worker_and_of_a_whole_job_and_scancel(cluster: Cluster, tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.brake(1)
    submission, report = lab.submit(lab.arms(3, LONG))
    jobs = [f"{report.jobs[0]}_{k}" for k in range(3)]
    lab.begun(submission)
    os.kill(worker(submission, 0), signal.SIGKILL)
    for pid in (parent(worker(submission, 1)), worker(submission, 1)):
        os.kill(pid, signal.SIGKILL)
    call("scancel", jobs[2])
    for job in jobs:
        cluster.gone(job)
    lab.brake(None)
    states = cluster.states(report.jobs[0])
    assert [states[job][0] for job in jobs] == ["FAILED", "FAILED", "CANCELLED"]
    first, *_, last = rounds(submission)
    labels = [work.label for work in submission.works]
    assert first.retried == {labels[0]: "killed", labels[1]: "killed"}
    assert (last.done, last.given_up) == (2, {labels[2]: "cancelled"})
    assert saved(folders(submission)[2]) > 2  # scancel gave it the time to save
    make_round(submission.folder, again=[labels[2]])
    assert rounds(submission)[-1].done == 3
    assert attempts(submission) == [2, 2, 2]
    check(submission)


def test_the_warning_before_the_time_limit_saves_and_requeues(cluster: Cluster, tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.brake(1)
    submission, report = lab.submit(lab.arms(2, LONG), pack=2)
    lab.begun(submission)
    call("scancel", "--signal=USR2", f"{report.jobs[0]}_0")
    until(lambda: cluster.queue("%T") == ["PENDING"], "the job to wait again")
    lab.brake(None)
    until(lambda: done(submission), "the requeued job")
    assert attempts(submission) == [2, 2]
    assert rounds(submission)[-1].jobs == ()
    check(submission)


@pytest.mark.slow
def test_a_job_that_stops_before_it_got_anywhere_is_left_to_the_policy(cluster: Cluster, tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.brake(20)  # no epoch ends
    submission, report = lab.submit(lab.arms(1))
    job = f"{report.jobs[0]}_0"
    until(lambda: attempts(submission) == [1], "the trial to have begun")
    lab.brake(0.5)
    call("scancel", "--signal=USR2", job)
    cluster.gone(job)
    assert cluster.states(report.jobs[0])[job] == ("FAILED", "75:0")
    lab.brake(None)
    first, *_, last = rounds(submission)
    assert (list(first.retried.values()), last.done) == (["time_limit"], 1)
    check(submission)


@pytest.mark.slow
def test_a_lost_node_whose_processes_go_on(cluster: Cluster, tmp_path: Path) -> None:
    """SLURM runs one job again by itself; the other it gives up, so the next round submits it for another node."""
    lab = Lab(tmp_path)
    lab.brake(1)
    submission, report = lab.submit(lab.arms(2, LONG))
    lab.begun(submission)
    orphans = [worker(submission, trial) for trial in (0, 1)]
    (node,) = set(cluster.queue("%N"))
    call("scontrol", "update", f"JobId={report.jobs[0]}_1", "Requeue=0")
    cluster.script("kill-node", node)
    try:
        until(lambda: attempts(submission)[0] == 2, "SLURM's second attempt")
        until(lambda: make_round(submission.folder).retried, "the round's")
        assert all((Path("/proc") / str(pid)).exists() for pid in orphans)  # they still write, and it does not count
        (array,) = read_arrays(submission.folder)[1:]
        assert (array.room.exclude, array.supersede) == ((node,), (f"{report.jobs[0]}_1",))
        until(lambda: attempts(submission)[1] == 2, "the new job's attempt")
        assert all((Path("/proc") / str(pid)).exists() for pid in orphans)
        lab.brake(None)
        assert rounds(submission)[-1].done == 2
    finally:
        cluster.script("start-node", node)
    check(submission)


@pytest.mark.slow
def test_a_node_that_is_lost_before_slurm_knows_it(cluster: Cluster, tmp_path: Path) -> None:
    """SLURM runs the job again elsewhere, but this one (22.05) without its GPUs, so that srun starts nothing there."""
    lab = Lab(tmp_path)
    submission = sweep.create(lab.arms(1), options(), "the command")
    cluster.script("kill-node", "n1")
    try:
        report = make_round(submission.folder)
        until(lambda: f"{report.jobs[0]}_0" not in cluster.queue(), "the job to end")
        made = rounds(submission)
    finally:
        cluster.script("start-node", "n1")
    assert {cause for m in made for cause in m.retried.values()} <= {"node"}
    assert made[-1].done == 1
    assert attempts(submission) == [1]
    check(submission)


@pytest.mark.slow
def test_a_keeper_that_may_not_submit_leaves_it_to_people(cluster: Cluster, tmp_path: Path, stand_in: StandIn) -> None:
    lab = Lab(tmp_path)
    lab.brake(1)
    closed = stand_in("sbatch", 'exec "$REAL" "$@"')
    submission, _ = lab.submit(lab.arms(1, LONG), keeper=True)
    lab.begun(submission)
    closed.write_text("#!/bin/bash\necho not from here >&2; exit 1")
    os.kill(worker(submission, 0), signal.SIGKILL)
    lab.brake(None)
    until(lambda: not cluster.queue(), "the keeper to end")
    closed.unlink()
    assert any("not from here" in path.read_text() for path in (submission.folder / "jobs").glob("*.out"))
    assert rounds(submission)[-1].done == 1
    check(submission)
