"""Jobs of submissions whose folders were deleted, and other jobs that are not ours, whatever they are called."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from slurm.cluster import Cluster, call, until
from slurm.lab import Lab, attempts, check, options, rounds

from ablation.errors import ConfigError
from launch.cli import main
from launch.slurm import backend, submit
from launch.slurm.jobs import JobKey
from launch.slurm.records import new_job_name, read_arrays, read_keeper, write_keeper
from launch.slurm.rounds import make_round
from launch.sweep import submission as sweep

Capture = pytest.CaptureFixture[str]
HELD = {"resources": {"hold": True}}


def test_results_deleted_while_jobs_wait_and_submitted_again(cluster: Cluster, tmp_path: Path, capsys: Capture) -> None:
    """The old jobs are neither taken for the new ones, nor train anything when they start, nor break a verb."""
    lab = Lab(tmp_path)
    _, report = lab.submit(lab.arms(4), **HELD)
    old = report.jobs[0]
    shutil.rmtree(lab.out)
    submit.run(lab.arms(1), options(**HELD), "the command")
    assert f"`scancel {old}` ends them" in capsys.readouterr().out
    (folder,) = sweep.submissions(lab.out)
    new = read_arrays(folder)[0].job
    assert {job.partition("_")[0] for job in cluster.queue()} == {old, new}
    assert main(["status", "--out", str(lab.out)]) == 0
    assert "1 queued" in capsys.readouterr().out
    assert main(["cancel", "--out", str(lab.out)]) == 0
    printed = capsys.readouterr().out
    assert f"taken back: {new}_0" in printed
    assert f"`scancel {old}` ends them" in printed
    call("scontrol", "release", old)
    until(lambda: not cluster.queue(), "the old jobs to end")
    assert set(cluster.states(old).values()) == {("COMPLETED", "0:0")}
    submission = sweep.load(folder)
    assert attempts(submission) == [0]
    logs = [path.read_text() for path in (folder / "jobs").glob("*.out")]
    assert len(logs) == 4
    assert all("nothing to train" in log and "Traceback" not in log for log in logs)
    make_round(folder, again=[work.label for work in submission.works])
    call("scontrol", "release", read_arrays(folder)[-1].job)
    assert main(["retry", "--out", str(lab.out)]) == 0
    for array in read_arrays(folder)[1:]:
        call("scontrol", "release", array.job)
    assert rounds(submission)[-1].done == 1
    check(submission)


def test_a_refusal_is_not_taken_for_an_older_job_of_the_same_name(cluster: Cluster, tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.submit(lab.arms(2), **HELD)
    assert main(["cancel", "--out", str(lab.out), "--yes"]) == 0
    shutil.rmtree(lab.out)
    with pytest.raises(ConfigError, match="invalid partition specified: gpuu"):
        submit.run(lab.arms(2), options(resources={"partition": "gpuu"}), "the command")


def test_a_number_that_is_somebody_elses_job_now_is_not_ours(cluster: Cluster, tmp_path: Path) -> None:
    """As after a cluster has lost its state and counts anew."""
    lab = Lab(tmp_path)
    submission, report = lab.submit(lab.arms(1), **HELD)
    other = call("sbatch", "--parsable", "--hold", "--array=0-0", "--wrap", "true").strip()
    path = submission.folder / "arrays/1.json"
    path.write_text(path.read_text().replace(f'"{report.jobs[0]}"', f'"{other}"'))
    assert backend.cancel(submission) == []
    assert backend.pending([submission]).awaited == set()
    assert f"{other}_0" in cluster.queue()


@pytest.mark.slow
def test_a_keeper_that_has_submitted_the_next_one_is_no_stray(cluster: Cluster, tmp_path: Path) -> None:
    """Only the next one is on record while both are in the queue."""
    lab = Lab(tmp_path)
    submission, report = lab.submit(lab.arms(1), keeper=True, **HELD)
    first = read_keeper(submission)
    assert first.number in cluster.queue()
    write_keeper(submission.folder, JobKey(new_job_name(submission, "keeper")))
    assert backend.strays(submission) == []
    call("scancel", first.number)
    call("scontrol", "release", report.jobs[0])
    assert rounds(submission)[-1].done == 1


def test_a_job_that_somebody_renamed_is_still_ours(cluster: Cluster, tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    submission, report = lab.submit(lab.arms(1), **HELD)
    call("scontrol", "update", f"JobId={report.jobs[0]}", "JobName=mine|now")
    assert backend.pending([submission]).awaited == submission.trials
    call("scontrol", "release", report.jobs[0])
    assert rounds(submission)[-1].done == 1
    assert (len(read_arrays(submission.folder)), attempts(submission)) == (1, [1])
