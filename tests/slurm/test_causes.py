"""Causes that SLURM's accounts tell, where they are told, and what is changed for the next try."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from slurm.cluster import Cluster, call, until
from slurm.lab import LONG, Lab, attempts, check, done, folders, parent, rounds, worker

from ablation.store import attempt, journal
from launch.slurm import records, sbatch
from launch.slurm.rounds import make_round
from launch.sweep.submission import Submission

StandIn = Callable[[str, str], Path]


def kill_job(cluster: Cluster, submission: Submission, job: str, trial: int = 0) -> None:
    pid = worker(submission, trial)
    for victim in (parent(pid), pid):
        os.kill(victim, signal.SIGKILL)
    cluster.gone(job)


@pytest.mark.slow
def test_out_of_memory_gets_a_smaller_pack_and_then_more_memory(cluster: Cluster, tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.brake("oom")
    submission, _ = lab.submit(lab.arms(1), pack=2, resources={"mem": "500M"})
    rooms = []
    while len(rooms) < 3:
        until(lambda: not cluster.queue(), "the jobs to fail")
        if len(rooms) == 2:
            lab.brake(None)
        assert set(make_round(submission.folder).retried.values()) == {"oom"}
        rooms.append({(a.room.pack, a.room.mem_mib) for a in records.read_arrays(submission.folder)[-1:]})
    assert rooms == [{(1, 500)}, {(1, 1000)}, {(1, 2000)}]
    last = records.read_arrays(submission.folder)[-1]
    assert rounds(submission)[-1].done == 1
    cluster.states(last.job)
    assert call("sacct", "-X", "-n", "-P", "-j", last.job, "--format=ReqMem").split() == ["2000M"]
    check(submission)


@pytest.mark.slow
def test_what_stopped_a_job_before_it_was_put_back_is_not_what_killed_it_later(
    cluster: Cluster, tmp_path: Path
) -> None:
    lab = Lab(tmp_path)
    lab.brake(1)
    submission, report = lab.submit(lab.arms(1, LONG))
    lab.begun(submission)
    job = f"{report.jobs[0]}_0"
    call("scancel", "--signal=USR2", job)
    until(lambda: attempts(submission) == [2], "SLURM to run it again")
    lab.begun(submission)
    kill_job(cluster, submission, job)
    assert set(make_round(submission.folder).retried.values()) == {"killed"}
    lab.brake(None)
    assert rounds(submission)[-1].done == 1
    check(submission)


def test_a_job_that_found_no_room_to_say_how_it_ended_failed_by_the_disk(cluster: Cluster, tmp_path: Path) -> None:
    """All it could write was its log, which SLURM had opened before the disk was full; its sentences are put there.

    SLURM's own line stands last; the node is not to blame, and is not avoided.
    """
    lab = Lab(tmp_path)
    lab.brake(1)
    submission, report = lab.submit(lab.arms(2, LONG))
    lab.begun(submission)
    first, second = (work.label for work in submission.works)
    said = {first: f"{first}: failed disk it is full", second: f"{records.NOT_KEPT}: {tmp_path} is full"}
    for k, line in enumerate(said.values()):
        job = f"{report.jobs[0]}_{k}"
        kill_job(cluster, submission, job, k)
        with sbatch.log_file(submission.folder / sbatch.JOBS, job).open("a") as log:
            log.write(f"{line}\nsrun: error: n3: task 0: Exited with exit code 1\n")
    given_up = make_round(submission.folder).given_up
    assert given_up.keys() == said.keys()
    for label, line in said.items():
        assert given_up[label].startswith(f"disk: its log ends with '{line}'"[:100])


def test_slurms_out_of_memory_is_one_too(cluster: Cluster, tmp_path: Path, stand_in: StandIn) -> None:
    """This cluster cannot limit memory: a stand-in says so of a step of a job that was killed."""
    lab = Lab(tmp_path)
    lab.brake(1)
    stand_in("sacct", """"$REAL" "$@" | sed -E '/^[0-9_]+[.]0[|]/s/[|](FAILED|CANCELLED)[^|]*/|OUT_OF_MEMORY/' """)
    submission, report = lab.submit(lab.arms(1, LONG), resources={"mem": "500M"})
    lab.begun(submission)
    kill_job(cluster, submission, f"{report.jobs[0]}_0")
    lab.brake(None)
    cluster.states(report.jobs[0])
    assert list(make_round(submission.folder).retried.values()) == ["oom"]
    assert records.read_arrays(submission.folder)[-1].room.mem_mib == 1000


@pytest.mark.slow
def test_without_accounts_everything_still_works(cluster: Cluster, tmp_path: Path, stand_in: StandIn) -> None:
    lab = Lab(tmp_path)
    lab.brake(1)
    stand_in("sacct", 'echo "Slurm accounting storage is disabled" >&2; exit 1')
    submission, report = lab.submit(lab.arms(2, LONG))
    lab.begun(submission)
    kill_job(cluster, submission, f"{report.jobs[0]}_0")
    call("scancel", f"{report.jobs[0]}_1")
    cluster.gone(f"{report.jobs[0]}_1")
    lab.brake(None)
    last = rounds(submission)[-1]
    assert (last.done, list(last.given_up.values())) == (1, ["cancelled"])
    make_round(submission.folder, again=list(last.given_up))
    assert rounds(submission)[-1].done == 2
    assert attempts(submission) == [2, 2]
    check(submission)


@pytest.fixture
def no_warning(cluster: Cluster) -> Iterator[None]:
    """SLURM's default: preemption gives no signal but SIGTERM."""
    conf = cluster.folder / "etc/slurm.conf"
    before = conf.read_text()
    conf.write_text(before.replace("SlurmctldParameters=preempt_send_user_signal\n", ""))
    call("scontrol", "reconfigure")
    yield
    conf.write_text(before)
    call("scontrol", "reconfigure")


def preempt(cluster: Cluster, job: str) -> None:
    call("sbatch", "-p", "gpu", "-N3", "--exclusive", "-o", "/dev/null", "--wrap", "sleep 1")
    until(lambda: job not in call("squeue", "-h", "-r", "-t", "RUNNING", "-o", "%i").split(), f"{job} to be preempted")


@pytest.mark.parametrize("warned", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_preemption_resumes(cluster: Cluster, tmp_path: Path, warned: bool, request: pytest.FixtureRequest) -> None:
    if not warned:
        request.getfixturevalue("no_warning")
    lab = Lab(tmp_path)
    lab.brake(0.5)
    submission, report = lab.submit(lab.arms(1, LONG), resources={"partition": "preempt"})
    lab.begun(submission)
    preempt(cluster, f"{report.jobs[0]}_0")
    lab.brake(None)
    until(lambda: done(submission), "SLURM to run it again")
    assert rounds(submission)[-1].jobs == ()
    assert attempts(submission) == [2]
    first = journal.tail(attempt.folder(folders(submission)[0], 1))
    assert first[-1]["event"] == "stopped", "it saved, and was not killed"
    check(submission)


@pytest.mark.slow
def test_preemption_by_cancelling_is_submitted_again(cluster: Cluster, tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.brake(0.5)
    submission, report = lab.submit(lab.arms(1, LONG), resources={"partition": "cancel"}, grace=1)
    lab.begun(submission)
    preempt(cluster, f"{report.jobs[0]}_0")
    lab.brake(None)
    made = rounds(submission)
    assert made[-1].done == 1
    assert attempts(submission) == [2]
    check(submission)


@pytest.mark.slow
def test_a_real_time_limit(cluster: Cluster, tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.brake(1)
    submission, _ = lab.submit(lab.arms(1, "epochs=60"), resources={"time": 2}, grace=20)
    until(lambda: attempts(submission) == [2], "the second attempt", 240)
    lab.brake(None)
    assert rounds(submission)[-1].done == 1
    check(submission)
