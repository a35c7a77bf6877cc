"""Sweeps that nothing happens to."""

from __future__ import annotations

from pathlib import Path

from slurm.cluster import Cluster
from slurm.lab import Lab, check, rounds


def test_each_trial_is_a_task_with_a_gpu_of_its_own(cluster: Cluster, tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    submission, report = lab.submit(lab.arms(3))
    assert (report.flying, len(report.jobs)) == (3, 1)
    last = rounds(submission)[-1]
    assert (last.done, last.given_up) == (3, {})
    assert set(cluster.states(report.jobs[0]).values()) == {("COMPLETED", "0:0")}
    check(submission, tmp_path / "quiet")
