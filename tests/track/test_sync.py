"""`ablation sync`, which brings run folders to MLflow."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from ablation.track.upload import upload
from launch import cli
from tests.track.conftest import free_port
from tests.track.trials import Training, assert_each_point_once, mlflow_warns, runs, trial

pytestmark = mlflow_warns

Capture = pytest.CaptureFixture[str]


def finished_trials(out: Path, number: int) -> list[Path]:
    folders = [trial(out, arm=f"{k:016x}", seed=k) for k in range(number)]
    for folder in folders:
        Training(folder).epochs(3).end()
    return folders


def report(capsys: Capture, *arguments: object) -> tuple[int, dict[str, Any]]:
    code = cli.main(["sync", "--out", *map(str, arguments), "--json"])
    printed: dict[str, Any] = json.loads(capsys.readouterr().out)
    return code, printed


def test_uploads_what_is_missing_and_then_nothing(
    client: MlflowClient, uri: str, tmp_path: Path, capsys: Capture
) -> None:
    out = tmp_path / "runs"
    folders = finished_trials(out, 3)
    upload(client, folders[1])
    code, printed = report(capsys, out, "--uri", uri)
    assert (code, [t["points"] for t in printed["trials"]]) == (0, [17, 0, 17])
    assert report(capsys, out, "--uri", uri)[1]["points"] == 0
    assert len(runs(client)) == 3
    for run in runs(client):
        assert_each_point_once(client, run, range(1, 4))


def test_says_what_it_did(client: MlflowClient, uri: str, tmp_path: Path, capsys: Capture) -> None:
    finished_trials(tmp_path / "runs", 2)
    assert cli.main(["sync", "--out", str(tmp_path / "runs"), "--uri", uri]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "0000000000000000/seed-0: 17 points"
    assert printed[-1] == f"34 points of 2 trials uploaded to {uri}"


def test_a_broken_folder_does_not_keep_the_others_back(
    client: MlflowClient, uri: str, tmp_path: Path, capsys: Capture
) -> None:
    first, _ = finished_trials(tmp_path / "runs", 2)
    (first.parent / "arm.json").write_text("{")
    code, printed = report(capsys, tmp_path / "runs", "--uri", uri)
    assert code == 1
    assert printed["trials"][0]["error"].startswith(f"{first.parent}/arm.json is damaged")
    assert printed["trials"][1]["points"] == 17


def test_an_unreachable_tracker_is_a_message(tmp_path: Path, capsys: Capture) -> None:
    finished_trials(tmp_path, 2)
    uri = f"http://127.0.0.1:{free_port()}"
    assert cli.main(["sync", "--out", str(tmp_path), "--uri", uri]) == 1
    assert f"cannot upload to MLflow at {uri}: cannot be reached (" in capsys.readouterr().err


def test_no_trials_is_no_error(client: MlflowClient, uri: str, tmp_path: Path, capsys: Capture) -> None:
    assert report(capsys, tmp_path, "--uri", uri) == (0, {"points": 0, "error": "", "trials": []})


def test_each_trial_goes_to_its_own_tracker_and_those_without_stay_away(
    uri: str, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, other = tmp_path / "runs", tmp_path / "other"
    other.mkdir()
    shutil.copy(uri.removeprefix("sqlite:///"), other / "mine.db")
    folders = finished_trials(out, 4)
    tracks: list[Any] = [{"mlflow": {"uri": uri}}, {"mlflow": {"uri": "sqlite:///mine.db"}}, {}, None]
    for folder, track in zip(folders, tracks, strict=True):
        (folder.parent / "config.yaml").write_text(json.dumps({"track": track}))
    monkeypatch.chdir(other)
    assert cli.main(["sync", "--out", str(out), "--json"]) == 1
    trials = json.loads(capsys.readouterr().out)["trials"]
    assert sorted((t["trial"][15], t["points"], t["uri"]) for t in trials) == [
        ("0", 17, uri),
        ("1", 17, f"sqlite:///{other}/mine.db"),
        ("3", 0, ""),
    ]
    assert "--uri" in trials[0]["error"] + trials[-1]["error"]


def test_a_missing_folder_is_refused_and_nothing_is_made(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["sync", "--out", "nowhere"]) == 2
    assert "--out nowhere: no such folder" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
