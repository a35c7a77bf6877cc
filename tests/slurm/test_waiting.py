"""Jobs that wait for what may not pass by itself: SLURM's reason is told, and what it put aside can be released."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from slurm.cluster import Cluster, call, until
from slurm.lab import LONG, Lab, attempts, check, rounds

from launch.cli import main
from launch.slurm import backend
from launch.slurm.jobs import Job
from launch.slurm.records import read_keeper

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def failing_prolog(cluster: Cluster) -> Iterator[Path]:
    """Every node's prolog fails while the file is there; SLURM drains a node on which it does."""
    conf, broken = cluster.folder / "etc/slurm.conf", cluster.folder / "etc/broken"
    prolog = cluster.folder / "etc/prolog.sh"
    prolog.write_text(f"#!/bin/bash\n! [ -e {broken} ]\n")
    prolog.chmod(0o755)
    before = conf.read_text()
    conf.write_text(f"{before}Prolog={prolog}\n")
    call("scontrol", "reconfigure")
    broken.touch()
    yield broken
    broken.unlink(missing_ok=True)
    conf.write_text(before)
    call("scontrol", "reconfigure")
    _resume()


def _resume() -> None:
    for node in set(call("sinfo", "-h", "-N", "-t", "drain,drng,down", "-o", "%N").split()):
        call("scontrol", "update", f"NodeName={node}", "State=RESUME")


def asked(capsys: Capture, lab: Lab, verb: str) -> dict[str, Any]:
    capsys.readouterr()
    main([verb, "--out", str(lab.out), "--json"])
    printed: dict[str, Any] = json.loads(capsys.readouterr().out)
    return printed


def test_a_job_that_slurm_could_not_start_is_named_and_released(
    cluster: Cluster, tmp_path: Path, capsys: Capture, failing_prolog: Path
) -> None:
    lab = Lab(tmp_path)
    earlier = lab.submit(lab.arms(1), resources={"hold": True})[1].jobs[0]
    submission, report = lab.submit(lab.arms(1), keeper=True)
    job = f"{report.jobs[0]}_0"
    until(
        lambda: "launch failed" in call("squeue", "-h", "-r", "-j", report.jobs[0], "-o", "%r"), "a failed launch", 60
    )
    failing_prolog.unlink()
    _resume()
    printed = asked(capsys, lab, "status")
    assert any(f"{job} wait: launch failed requeued held; `ablation retry`" in text for text in printed["trouble"])
    assert printed["totals"] == {"queued": 1}  # in the other job, which can start
    call("scancel", earlier)
    printed = asked(capsys, lab, "status")
    assert printed["totals"] == {"new": 1}  # and so `retry` chooses it, though a keeper waits for it
    assert asked(capsys, lab, "retry")["retried"] == [f"{submission.works[0].id}/seed-0"]
    assert rounds(submission)[-1].done == 1
    assert attempts(submission) == [1]
    check(submission)


@pytest.mark.slow
def test_a_job_that_was_put_back_and_seems_held_by_an_administrator(
    cluster: Cluster, tmp_path: Path, capsys: Capture
) -> None:
    """As SLURM leaves some after a node was lost. Whom an administrator means to hold, a user cannot release."""
    lab = Lab(tmp_path)
    lab.brake(1)
    submission, report = lab.submit(lab.arms(1, LONG))
    job = f"{report.jobs[0]}_0"
    lab.begun(submission)
    for node in ("n1", "n2", "n3"):
        call("scontrol", "update", f"NodeName={node}", "State=DRAIN", "Reason=test")
    call("scontrol", "requeue", job)
    until(lambda: cluster.queue("%T") == ["PENDING"], "the job to be put back")
    call("scontrol", "hold", job)
    _resume()
    printed = asked(capsys, lab, "status")
    assert any(f"{job} wait: put back and held (JobHeldAdmin); `ablation retry`" in text for text in printed["trouble"])
    lab.brake(None)
    asked(capsys, lab, "retry")
    assert rounds(submission)[-1].done == 1
    assert attempts(submission) == [2]
    check(submission)


def test_held_jobs_are_told_with_what_releases_them(cluster: Cluster, tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    submission, report = lab.submit(lab.arms(2), resources={"hold": True})
    found = backend.pending([submission])
    ids = f"{report.jobs[0]}_0, {report.jobs[0]}_1"
    assert found.trouble == [f"SLURM jobs {ids} wait: JobHeldUser; `scontrol release {report.jobs[0]}` lets them start"]
    assert found.awaited == submission.trials
    watch = [sys.executable, "-m", "launch", "watch", "--out", str(lab.out)]
    with subprocess.Popen(watch, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as shell:
        assert shell.stdout is not None
        said = next(line for line in shell.stdout if "JobHeldUser" in line)
        assert said == f"warning: {found.trouble[0]}\n"
        call("scontrol", "release", report.jobs[0])
        assert "2 done" in shell.stdout.read()
        assert shell.wait() == 0
    assert rounds(submission)[-1].done == 2


def test_a_keeper_that_cannot_start_is_told_apart_and_goes_with_its_sweep(
    cluster: Cluster, tmp_path: Path, capsys: Capture
) -> None:
    """SLURM says so when the trials' jobs have ended, which the keeper follows."""
    lab = Lab(tmp_path)
    lab.brake("error")
    call("scontrol", "update", "PartitionName=cancel", "MaxTime=5")
    try:
        keeper = {"partition": "cancel", "time": 20}
        submission, _ = lab.submit(lab.arms(1), keeper=True, keeper_resources=keeper)
        until(lambda: any("keeper" in line for line in backend.pending([submission]).trouble), "SLURM's reason", 120)
        (line,) = [line for line in backend.pending([submission]).trouble if "keeper" in line]
        number = read_keeper(submission).number
        assert line.startswith(f"the keeper (SLURM job {number}) waits: PartitionTimeLimit; meanwhile what fails")
        assert line.endswith("it starts with a shorter hydra.launcher.keeper_resources.time")
        assert asked(capsys, lab, "cancel")["jobs"] == [number]
        until(lambda: not cluster.queue(), "it to be gone")
    finally:
        call("scontrol", "update", "PartitionName=cancel", "MaxTime=UNLIMITED")


@pytest.mark.slow
def test_a_job_that_runs_and_shows_no_life_is_told(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here its setup takes long; SLURM may also believe that one runs which has no process any more."""
    lab = Lab(tmp_path)
    submission, report = lab.submit(lab.arms(1), setup=["sleep 15"])
    until(lambda: cluster.queue("%T") == ["RUNNING"], "the job to run")
    assert backend.pending([submission]).trouble == []
    monkeypatch.setattr(backend, "_SILENT_MINUTES", 0.05)
    until(lambda: backend.pending([submission]).trouble, "it to be silent for three seconds", 30)
    (told,) = backend.pending([submission]).trouble
    assert told.startswith(f"SLURM says that job {report.jobs[0]}_0 runs, and for 0 min nothing of it has shown life")
    assert rounds(submission)[-1].done == 1
    assert backend.pending([submission]).trouble == []


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("PartitionTimeLimit", "a shorter hydra.launcher.resources.time"),
        ("QOSMaxWallDurationPerJobLimit", "a shorter hydra.launcher.resources.time"),
        ("AssocGrpCPUMinutesLimit", "budget"),
        ("QOSMaxCpuPerUserLimit", "as other jobs end"),
        ("QOSMaxJobsPerAccountLimit", "as other jobs end"),
        ("QOSGrpNodeLimit", "as other jobs end"),
        ("QOSMaxCpuPerJobLimit", "hydra.launcher.resources that fit"),
        ("PartitionNodeLimit", "hydra.launcher.resources that fit"),
        ("InvalidAccount", "another hydra.launcher.resources.account"),
        ("JobHeldAdmin", "administrator"),
        ("JobHeldUser", "`scontrol release 7,9` lets them start"),
        ("PartitionInactive", "`sinfo -R`"),
        ("ReqNodeNotAvail, UnavailableNodes:n1", "`sinfo -R`"),
        ("SomethingNew", "`scontrol show job 7,9`"),
    ],
)
def test_each_reason_has_a_way_out(reason: str, words: str) -> None:
    jobs = [Job("7_0", "a", "PENDING", reason=reason), Job("9_1", "a", "PENDING", reason=reason)]
    (line,) = backend._obstacles(jobs, [])
    assert line.startswith(f"SLURM jobs 7_0, 9_1 wait: {reason}; ")
    assert words in line


def test_what_no_node_serves_is_told(cluster: Cluster, tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    for node in ("n1", "n2", "n3"):
        call("scontrol", "update", f"NodeName={node}", "State=DRAIN", "Reason=test")
    try:
        submission, report = lab.submit(lab.arms(1))
        until(lambda: backend.pending([submission]).trouble, "SLURM's reason", 30)
        (trouble,) = backend.pending([submission]).trouble
        assert f"SLURM jobs {report.jobs[0]}_0 wait: " in trouble
        assert "DRAINED" in trouble or "UnavailableNodes" in trouble
    finally:
        _resume()
    assert rounds(submission)[-1].done == 1


@pytest.mark.slow
def test_a_constraint_that_no_node_meets_any_more_is_told(cluster: Cluster, tmp_path: Path) -> None:
    """SLURM took the job, finds out when it looks for a node, and does not look again by itself."""
    lab = Lab(tmp_path)
    call("scontrol", "update", "NodeName=n1", "AvailableFeatures=fast", "ActiveFeatures=fast")
    try:
        submission, report = lab.submit(lab.arms(1), resources={"hold": True, "constraint": "fast"})
        call("scontrol", "update", "NodeName=n1", "AvailableFeatures=", "ActiveFeatures=")
        call("scontrol", "release", report.jobs[0])
        until(lambda: any("BadConstraints" in text for text in backend.pending([submission]).trouble), "its reason", 90)
        (told,) = backend.pending([submission]).trouble
        assert told.startswith(
            f"SLURM jobs {report.jobs[0]}_0 wait: BadConstraints; `scontrol release {report.jobs[0]}`"
        )
        call("scontrol", "update", "NodeName=n1", "AvailableFeatures=fast", "ActiveFeatures=fast")
        call("scontrol", "release", report.jobs[0])  # by itself it stays there, held
        assert rounds(submission)[-1].done == 1
    finally:
        call("scontrol", "update", "NodeName=n1", "AvailableFeatures=", "ActiveFeatures=")
