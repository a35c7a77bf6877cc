"""The verbs over a sweep on the cluster."""

from __future__ import annotations

import json
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from slurm.cluster import Cluster, call, until
from slurm.lab import LONG, Lab, attempts, check, rounds

from launch.backends import status_of
from launch.cli import main
from launch.slurm import backend

Capture = pytest.CaptureFixture[str]


def asked(capsys: Capture, lab: Lab, *arguments: str) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    code = main([*arguments, "--out", str(lab.out), "--json"])
    printed: dict[str, Any] = json.loads(capsys.readouterr().out)
    return code, printed


def test_status_cancel_retry_and_watch(
    cluster: Cluster, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("launch.slurm.rounds.PAUSE", 2.0)
    lab = Lab(tmp_path)
    lab.brake(1)
    submission, report = lab.submit(lab.arms(3, LONG), parallel=1)
    first, second, third = submission.arms

    def states() -> list[str]:
        return [t["state"] for t in asked(capsys, lab, "status")[1]["trials"]]

    until(lambda: states() == ["running", "queued", "queued"], "one to run and two to wait")
    assert asked(capsys, lab, "status")[0] == 0  # all are done or on their way
    code, printed = asked(capsys, lab, "cancel", "--id", second)
    assert (code, printed["jobs"]) == (0, [f"{report.jobs[0]}_1"])
    assert asked(capsys, lab, "cancel", "--id", first)[0] == 0
    until(lambda: states() == ["cancelled", "cancelled", "running"], "the first to save and stop")
    lab.brake(None)
    assert asked(capsys, lab, "watch", "--id", third)[0] == 0
    until(lambda: not cluster.queue(), "the jobs to end")
    assert rounds(submission)[-1].over
    code, printed = asked(capsys, lab, "retry")
    assert (code, printed["retried"]) == (0, [f"{first}/seed-0", f"{second}/seed-0"])
    code, printed = asked(capsys, lab, "watch")
    assert (code, printed["totals"]) == (0, {"done": 3})
    assert attempts(submission) == [2, 1, 1]
    check(submission)


def test_what_was_given_up_is_failed_with_slurms_cause(cluster: Cluster, tmp_path: Path, capsys: Capture) -> None:
    lab = Lab(tmp_path)
    lab.brake(1)
    submission, report = lab.submit(lab.arms(1, LONG), retry={"cancelled": {"tries": 0}})
    lab.begun(submission)
    call("scancel", report.jobs[0])
    until(lambda: not cluster.queue(), "the job to end")
    rounds(submission)
    code, printed = asked(capsys, lab, "status")
    (trial,) = printed["trials"]
    assert (code, trial["state"], trial["cause"]) == (1, "failed", "cancelled")
    assert asked(capsys, lab, "logs", "--failed")[1]["groups"][0]["cause"] == "cancelled"


def test_without_slurms_commands_the_files_still_tell(
    cluster: Cluster, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a laptop that mounts the cluster's file system."""
    lab = Lab(tmp_path)
    lab.brake("error", arm=1)
    submission, _ = lab.submit(lab.arms(2))
    rounds(submission)
    monkeypatch.setenv("PATH", "/nowhere")
    code, printed = asked(capsys, lab, "status")
    assert (code, printed["totals"]) == (1, {"done": 1, "failed": 1})
    (trouble,) = printed["trouble"]  # of what failed it is not known whether it is to be tried again
    assert "squeue: no such command" in trouble


def test_damaged_files_of_a_submission_are_named(cluster: Cluster, tmp_path: Path, capsys: Capture) -> None:
    lab = Lab(tmp_path)
    submission, report = lab.submit(lab.arms(1), keeper=True, resources={"hold": True})
    arrays, keeper = submission.folder / "arrays/1.json", submission.folder / "keeper.json"
    whole = arrays.read_text()
    for text in ("", '{"number": 1, "na', "[1]", "{}"):
        keeper.write_text(text)
        (submission.folder / "verdicts.jsonl").write_text(f"{text}\n")
        assert asked(capsys, lab, "status")[1]["totals"] == {"queued": 1}
        arrays.write_text(text)
        for verb in ("status", "cancel", "retry", "watch"):
            assert main([verb, "--out", str(lab.out)]) == 1
            captured = capsys.readouterr()
            assert f"error: {arrays}: is damaged" in captured.err
        arrays.write_text(whole)
    assert f"{report.jobs[0]}_0" in asked(capsys, lab, "cancel")[1]["jobs"]


def test_who_asks_second_is_told_that_another_retry_has_them(cluster: Cluster, tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.brake("error", arm=0)
    submission, _ = lab.submit(lab.arms(2))
    rounds(submission)
    failed = [t for t in status_of([submission]).trials if t.state.kind == "failed"]
    lab.brake(None)
    first, second = (backend.retry(submission, failed, 1, Console(file=StringIO())) for _ in range(2))
    assert (len(first.jobs), list(first.others)) == (1, [])
    assert (len(second.jobs), list(second.others)) == (0, [failed[0].label])
    assert rounds(submission)[-1].done == 2


@pytest.mark.slow
def test_retry_from_three_shells_at_once_is_one(cluster: Cluster, tmp_path: Path) -> None:
    """Whoever was slower sees what the first did not: that it is being tried again."""
    lab = Lab(tmp_path)
    lab.brake("error")
    submission, _ = lab.submit(lab.arms(1, LONG))
    rounds(submission)
    assert attempts(submission) == [1]
    lab.brake(1)
    command = [sys.executable, "-m", "launch", "retry", "--json", "--out", str(lab.out)]
    pipe = subprocess.PIPE
    shells = [subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) for _ in range(3)]
    said = [shell.communicate(timeout=300) for shell in shells]
    assert [shell.returncode for shell in shells] == [0, 0, 0], said
    told = [json.loads(out) for out, _ in said]
    assert sorted(len(each["jobs"]) for each in told) == [0, 0, 1]
    assert all(bool(each["retried"]) == bool(each["jobs"]) for each in told), "who submits nothing has retried nothing"
    lab.brake(None)
    assert rounds(submission)[-1].done == 1
    assert attempts(submission) == [2]
    assert not any("Traceback" in err for _, err in said)
