"""Jobs on a cluster that gives them the memory they ask for and no more: the kernel kills what takes more."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from slurm.cluster import Cluster, call, until
from slurm.conftest import running
from slurm.lab import LONG, Lab, attempts, check, folders, rounds, worker

from launch.slurm import records
from launch.slurm.rounds import make_round
from launch.status import trial_status
from launch.sweep.submission import Submission

_GROUPS = Path("/sys/fs/cgroup/memory")  # version 1


@pytest.fixture(scope="module")
def cluster(slurm_installed: None) -> Iterator[Cluster]:
    if not os.access(_GROUPS / "cgroup.procs", os.W_OK):
        pytest.skip(f"needs {_GROUPS}, control groups of version 1, to be writable")
    with running("memory", MEMORY="1") as made:
        yield made
        made.empty()


def rooms(submission: Submission) -> list[tuple[int, int | None]]:
    """Of each array: trials side by side, and memory in MiB."""
    return [(array.room.pack, array.room.mem_mib) for array in records.read_arrays(submission.folder)]


def steps(job: str) -> list[str]:
    """What the accounts say of the trials' step of a job."""
    return call("sacct", "-n", "-P", "-j", f"{job}.0", "--format=State").split()


def test_one_of_two_packed_trials_takes_too_much(cluster: Cluster, tmp_path: Path) -> None:
    """The other goes on in the same job. The one that was killed is tried alone, and then with more memory."""
    lab = Lab(tmp_path)
    lab.brake("hog 1400", arm=0)
    submission, report = lab.submit(lab.arms(2, LONG), pack=2, resources={"mem": "1600M"})  # each has 560 MiB anyway
    until(lambda: not cluster.queue(), "the first job")
    assert [trial_status.of(folder).kind for folder in folders(submission)] == ["stopped", "done"]
    until(lambda: steps(f"{report.jobs[0]}_0") == ["OUT_OF_MEMORY"], "the accounts")
    made = rounds(submission)
    assert [list(m.retried.values()) for m in made if m.retried] == [["oom"], ["oom"]]
    assert rooms(submission) == [(2, 1600), (1, 1600), (1, 3200)]
    assert attempts(submission) == [3, 1]
    check(submission)


@pytest.mark.slow
def test_both_of_two_packed_trials_take_too_much(cluster: Cluster, tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.brake("hog 1000")
    submission, _ = lab.submit(lab.arms(2, LONG), pack=2, resources={"mem": "1200M"})
    until(lambda: not cluster.queue(), "the first job")
    lab.brake(None)
    made = rounds(submission)
    assert list(made[0].retried.values()) == ["oom", "oom"]
    assert rooms(submission) == [(2, 1200), (1, 1200)]
    assert attempts(submission) == [2, 2]
    check(submission)


@pytest.mark.slow
def test_who_was_stopped_beside_a_trial_that_took_too_much_is_not_blamed(cluster: Cluster, tmp_path: Path) -> None:
    """For SLURM the whole job was out of memory."""
    lab = Lab(tmp_path)
    lab.brake(1)
    submission, report = lab.submit(lab.arms(2, LONG), pack=2, resources={"mem": "1600M"})
    guilty, innocent = (work.label for work in submission.works)
    lab.begun(submission)
    lab.brake("hog 1400", arm=0)
    until(lambda: trial_status.of(folders(submission)[0]).kind == "stopped", "the kernel")
    call("scancel", "--signal=USR2", f"{report.jobs[0]}_0")
    until(lambda: not cluster.queue(), "the first job")
    lab.brake(None)
    until(lambda: steps(f"{report.jobs[0]}_0") == ["OUT_OF_MEMORY"], "the accounts")
    made = rounds(submission)
    assert made[0].retried == {guilty: "oom", innocent: "time_limit"}
    assert sorted(rooms(submission)) == [(1, 1600), (2, 1600), (2, 1600)]
    check(submission)


@pytest.mark.slow
def test_everything_in_a_jobs_group_is_killed(cluster: Cluster, tmp_path: Path) -> None:
    """As some sites' kernels do it: nobody is left who could leave word."""
    lab = Lab(tmp_path)
    lab.brake(1)
    submission, report = lab.submit(lab.arms(2, LONG), pack=2)
    lab.begun(submission)
    job = f"{report.jobs[0]}_0"
    number = call("squeue", "-h", "-j", job, "-o", "%A").strip()
    for pid in {
        pid
        for file in _GROUPS.glob(f"slurm_n*/uid_*/job_{number}/step_0/**/cgroup.procs")
        for pid in file.read_text().split()
    }:
        if "slurmstepd" not in os.readlink(f"/proc/{pid}/exe"):
            os.kill(int(pid), signal.SIGKILL)
    cluster.gone(job)
    lab.brake(None)
    made = rounds(submission)
    assert list(made[0].retried.values()) == ["killed", "killed"]
    assert attempts(submission) == [2, 2]
    check(submission)


@pytest.mark.slow
def test_a_kill_while_another_job_is_out_of_memory_is_a_kill(cluster: Cluster, tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.brake(1)
    submission, _ = lab.submit(lab.arms(1, LONG))
    lab.begun(submission)
    memory = "import time; kept = [bytearray(1 << 20) for _ in range(300) if not time.sleep(0.005)]"
    other = call(
        "sbatch", "--parsable", "--mem=100M", "-o", "/dev/null", "--wrap", f"srun python3 -c '{memory}'"
    ).strip()
    until(lambda: call("sacct", "-n", "-P", "-j", f"{other}.0", "--format=State").split() == ["OUT_OF_MEMORY"], "it")
    os.kill(worker(submission, 0), signal.SIGKILL)
    lab.brake(None)
    until(lambda: not cluster.queue(), "the job")
    assert list(make_round(submission.folder).retried.values()) == ["killed"]
    assert rounds(submission)[-1].done == 1
    check(submission)
