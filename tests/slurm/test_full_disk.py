"""A disk that runs full while jobs train on it: one line says so, and with room again all goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
from disks import LargeSpace, leftovers, mounted
from slurm.cluster import Cluster, until
from slurm.lab import LONG, Lab, attempts, check, rounds

from launch.cli import main

Capture = pytest.CaptureFixture[str]


@pytest.mark.slow
def test_a_disk_that_runs_full_while_jobs_train(cluster: Cluster, tmp_path: Path, capsys: Capture) -> None:
    with mounted(LargeSpace, tmp_path / "disk") as disk:
        lab = Lab(disk.folder)
        lab.brake(0.3)
        submission, _ = lab.submit(lab.arms(3, LONG))
        lab.begun(submission)
        disk.fill()
        until(lambda: not cluster.queue(), "the jobs to end", 120)
        logs = [path.read_text() for path in (submission.folder / "jobs").glob("*.out")]
        assert not [text for text in logs if "Traceback" in text]
        assert leftovers(disk.folder) == []
        told = _verb(capsys, 1, "status", lab)
        assert told.count("failed: disk") == 3
        told = _verb(capsys, 0, "logs", lab, "--failed")
        assert "3 x disk\n" in told
        assert f"/attempt-1/next.pt: {disk.folder} {LargeSpace.said}" in told
        with pytest.raises(OSError, match=str(disk.folder)):
            lab.submit(lab.arms(3, LONG))
        _verb(capsys, 1, "retry", lab)
        assert cluster.queue() == []
        assert leftovers(disk.folder) == []
        disk.free()
        lab.brake(None)
        _verb(capsys, 0, "retry", lab)
        assert rounds(submission)[-1].done == 3
        assert attempts(submission) == [2, 2, 2]
        check(submission)
        assert leftovers(disk.folder) == []
        until(lambda: not cluster.queue(), "the jobs to end", 120)


def _verb(capsys: Capture, code: int, verb: str, lab: Lab, *more: str) -> str:
    assert main([verb, "--out", str(lab.out), *more]) == code
    captured = capsys.readouterr()
    return captured.out + captured.err
