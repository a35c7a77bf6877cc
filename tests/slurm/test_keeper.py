"""The keeper dies, is put back, or cannot start: what it had half done is found by whoever makes the next round."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from slurm.cluster import Cluster, call, until
from slurm.lab import LONG, Lab, attempts, check, done, rounds, worker

from launch.cli import main
from launch.slurm.jobs import JobKey
from launch.slurm.records import new_job_name, read_arrays, read_keeper, write_keeper
from launch.slurm.rounds import Rounds, make_round
from launch.sweep.submission import Submission

StandIn = Callable[[str, str], Path]

# In an sbatch that the keeper calls: which call this is, counted from 1.
_COUNTED = """
tr '\\0' ' ' < /proc/$PPID/cmdline | grep -q keeper_job || exec "$REAL" "$@"
call=$(( $(cat COUNT 2>/dev/null || echo 0) + 1 )); echo $call > COUNT
"""


def counted(folder: Path, script: str) -> str:
    return _COUNTED.replace("COUNT", str(folder / "count")) + script


def calls(folder: Path) -> int:
    return int((folder / "count").read_text()) if (folder / "count").exists() else 0


def keepers(cluster: Cluster, form: str = "%i") -> list[str]:
    rows = call("squeue", "-h", "-o", f"%j {form}").splitlines()
    return [row.split(" ", 1)[1] for row in rows if "-keeper-" in row]


def killed_trial(lab: Lab, **changes: object) -> Submission:
    """One trial with a keeper; its worker is killed, so that the keeper will have something to submit."""
    lab.brake(1)
    submission, _ = lab.submit(lab.arms(1, LONG), keeper=True, **changes)
    lab.begun(submission)
    os.kill(worker(submission, 0), signal.SIGKILL)
    lab.brake(None)
    return submission


@pytest.mark.slow
@pytest.mark.parametrize("call_number", [1, 2])
def test_killed_right_after_it_submitted(cluster: Cluster, tmp_path: Path, stand_in: StandIn, call_number: int) -> None:
    """Its successor, which it submits first, begins some minutes later and finds the trial's job if there is one."""
    lab = Lab(tmp_path)
    stand_in("sbatch", counted(tmp_path, f'"$REAL" "$@" || exit; [ $call != {call_number} ] || kill -9 $PPID'))
    submission = killed_trial(lab)
    until(lambda: calls(tmp_path) == call_number and len(keepers(cluster)) == 1, "the keeper to be killed")
    until(lambda: keepers(cluster, "%T") == ["PENDING"], "its successor alone to be left")
    assert read_keeper(submission).number == ("" if call_number == 1 else keepers(cluster)[0])
    call("scontrol", "update", f"JobId={keepers(cluster)[0]}", "StartTime=now")
    until(lambda: not cluster.queue(), "the last keeper to end")
    assert done(submission)
    assert attempts(submission) == [2]
    assert len(read_arrays(submission.folder)) == 2
    check(submission)


def test_put_back_into_the_queue_in_the_middle_of_a_round(cluster: Cluster, tmp_path: Path, stand_in: StandIn) -> None:
    lab = Lab(tmp_path)
    stand_in("sbatch", counted(tmp_path, '"$REAL" "$@" || exit; [ $call != 2 ] || exec sleep 300'))
    submission = killed_trial(lab)
    until(lambda: calls(tmp_path) == 2, "the keeper to have submitted")
    (running,) = [row.split()[0] for row in keepers(cluster, "%i %T") if "RUNNING" in row]
    call("scontrol", "requeue", running)
    until(lambda: done(submission), "the trial")
    until(lambda: running not in keepers(cluster), "the keeper to have made its round")
    assert attempts(submission) == [2]
    assert len(read_arrays(submission.folder)) == 2
    assert rounds(submission)[-1].done == 1
    check(submission)


@pytest.mark.slow
def test_its_node_is_lost_and_it_goes_on_there(cluster: Cluster, tmp_path: Path, stand_in: StandIn) -> None:
    """SLURM starts it again elsewhere: there are two, which make their rounds one after the other."""
    lab = Lab(tmp_path)
    stand_in("sbatch", counted(tmp_path, '"$REAL" "$@" || exit; [ $call != 2 ] || exec sleep 30'))
    submission = killed_trial(lab)
    until(lambda: calls(tmp_path) == 2, "the keeper to have submitted")
    (node,) = [row.split()[1] for row in keepers(cluster, "%T %N") if "RUNNING" in row]
    cluster.script("kill-node", node)
    try:
        until(lambda: done(submission), "the trial")
        until(lambda: "RUNNING" not in keepers(cluster, "%T"), "both to have made their rounds")
    finally:
        cluster.script("start-node", node)
    assert rounds(submission)[-1].done == 1
    assert attempts(submission)[0] in (2, 3), "the trial's own job was on that node too"
    check(submission)


@pytest.mark.slow
def test_its_time_is_over_in_the_middle_of_a_round(cluster: Cluster, tmp_path: Path, stand_in: StandIn) -> None:
    """Nobody follows then; a person's round finds all as it was, and is not kept waiting."""
    lab = Lab(tmp_path)
    hung = stand_in("sbatch", counted(tmp_path, "exec sleep 300"))
    submission = killed_trial(lab, keeper_resources={"time": 1})
    until(lambda: calls(tmp_path) == 1, "the keeper to hang")
    until(lambda: not cluster.queue(), "its time limit", 180)
    hung.unlink()
    assert make_round(submission.folder).retried == {submission.works[0].label: "killed"}
    assert rounds(submission)[-1].done == 1
    assert attempts(submission) == [2]
    check(submission)


@pytest.mark.slow
def test_its_partition_is_down(cluster: Cluster, tmp_path: Path) -> None:
    """It waits, and goes on when the partition is up again; a person's round need not wait for it."""
    lab = Lab(tmp_path)
    call("scontrol", "update", "PartitionName=cancel", "State=DOWN")
    try:
        submission = killed_trial(lab, keeper_resources={"partition": "cancel", "time": 60})
        until(lambda: keepers(cluster, "%T %r") == ["PENDING PartitionDown"], "the keeper to be stuck")
        assert make_round(submission.folder).retried == {submission.works[0].label: "killed"}
        until(lambda: done(submission), "the trial")
        assert len(keepers(cluster)) == 1
    finally:
        call("scontrol", "update", "PartitionName=cancel", "State=UP")
    until(lambda: not cluster.queue(), "the keeper to end")
    assert attempts(submission) == [2]
    check(submission)


@pytest.mark.parametrize("by", ["the last keeper", "cancel"])
def test_a_keeper_that_slurm_put_back_and_held_long_ago_goes_when_all_is_over(
    cluster: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str], by: str
) -> None:
    """Its successor is on record by then."""
    lab = Lab(tmp_path)
    lab.brake(1)
    submission, _ = lab.submit(lab.arms(1, LONG), keeper=True, resources={"hold": by == "cancel"})
    old = read_keeper(submission)
    call("scontrol", "hold", old.number)
    write_keeper(submission.folder, JobKey(new_job_name(submission, "keeper")))
    make_round(submission.folder)
    assert len(keepers(cluster)) == 2
    if by == "cancel":
        assert main(["cancel", "--out", str(lab.out), "--yes"]) == 0
        assert old.number in capsys.readouterr().out
    lab.brake(None)
    until(lambda: not cluster.queue(), "all keepers to be gone", 120)


def test_the_last_keeper_that_slurm_holds_goes_with_a_watch_that_followed_the_sweep(
    cluster: Cluster, tmp_path: Path
) -> None:
    lab = Lab(tmp_path)
    lab.brake(1)
    submission, _ = lab.submit(lab.arms(1, LONG), keeper=True)
    call("scontrol", "hold", read_keeper(submission).number)
    looked_on = Rounds([submission], print)
    looked_on.make_due()
    assert not looked_on.over()
    lab.brake(None)
    until(lambda: done(submission), "the trial", 120)
    looked_on._due = 0.0
    looked_on.make_due()
    assert looked_on.over()
    until(lambda: not cluster.queue(), "the keeper to be gone", 30)
