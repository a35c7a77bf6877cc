"""The live sink: training never notices the tracker, whatever state that is in."""

from __future__ import annotations

import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from omegaconf import OmegaConf

from ablation.build import build
from ablation.track.client import connect
from ablation.track.mlflow import mlflow
from ablation.track.sink import Sink
from launch import cli
from tests.track.conftest import free_port
from tests.track.trials import METRICS, Training, assert_each_point_once, mlflow_warns, runs, the_run, trial, wait_for

pytestmark = mlflow_warns


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that takes connections and never answers."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen(50)
        yield f"http://127.0.0.1:{s.getsockname()[1]}"


def test_uploads_while_training_and_the_rest_at_the_end(client: MlflowClient, uri: str, tmp_path: Path) -> None:
    sink = mlflow(uri, interval=0.05)
    training = Training(folder := trial(tmp_path / "runs"))
    sink.follow(folder)
    training.epochs(3)
    wait_for(lambda: bool(runs(client)) and the_run(client).data.tags.get("ablation.uploaded_epoch") == "3")
    training.epochs(2).end()
    assert sink.close() == []
    assert the_run(client).info.status == "FINISHED"
    assert_each_point_once(client, the_run(client), range(1, 6))


def test_what_was_written_just_before_close_is_uploaded(client: MlflowClient, uri: str, tmp_path: Path) -> None:
    sink = mlflow(uri, interval=1000)
    for seed in range(3):
        sink.follow(folder := trial(tmp_path / str(seed), seed=seed))
        Training(folder).epochs(2).end()
    assert sink.close() == []
    assert [r.info.status for r in runs(client)] == ["FINISHED"] * 3


def test_the_database_and_its_folder_are_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sink = mlflow("sqlite:///results/new/mlflow.db")
    sink.follow(folder := trial(tmp_path / "runs"))
    Training(folder).epochs(2).end()
    assert sink.close() == []
    assert the_run(connect("sqlite:///results/new/mlflow.db")).info.status == "FINISHED"
    assert {p.name for p in tmp_path.iterdir()} == {"results", "runs"}


def test_a_tracker_that_was_down_is_found_again(uri: str, tmp_path: Path) -> None:
    file = Path(uri.removeprefix("sqlite:///"))
    file.parent.rename(tmp_path / "away")
    file.parent.write_text("in the way")
    sink = mlflow(uri, interval=0.05)
    sink.follow(folder := trial(tmp_path / "runs"))
    training = Training(folder).epochs(2)
    time.sleep(0.3)
    file.parent.unlink()
    (tmp_path / "away").rename(file.parent)
    training.end()
    assert sink.close() == []
    assert_each_point_once(connect(uri), the_run(connect(uri)), [1, 2])


def test_the_options_in_conf_make_the_sink(monkeypatch: pytest.MonkeyPatch) -> None:
    conf: Any = OmegaConf.load(Path(__file__).parents[2] / "conf" / "track" / "mlflow.yaml")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert conf.mlflow.uri == "sqlite:///results/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracker:5000")
    assert conf.mlflow.uri == "http://tracker:5000"
    assert isinstance(build(conf.mlflow, "track.mlflow"), Sink)


def test_nothing_followed_is_nothing_to_close() -> None:
    assert mlflow("http://127.0.0.1:1").close() == []


def test_a_refused_connection_is_one_warning_and_sync_makes_it_good(
    client: MlflowClient, uri: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sink = mlflow(f"http://127.0.0.1:{free_port()}", interval=0.05)
    sink.follow(folder := trial(tmp_path / "runs"))
    Training(folder).epochs(3).epochs(1, save=False).journal.close()
    began = time.monotonic()
    (warning,) = sink.close(1.0)
    assert time.monotonic() - began < 5.0
    assert f"{3 * len(METRICS)} points not uploaded" in warning
    assert f"ablation sync --out {tmp_path / 'runs'}" in warning
    assert "\n" not in warning
    assert cli.main(["sync", "--out", str(tmp_path / "runs"), "--uri", uri]) == 0
    assert "12 points" in capsys.readouterr().out
    assert_each_point_once(client, the_run(client), range(1, 4))


def test_a_server_that_never_answers_is_left_after_the_timeout(silent: str, tmp_path: Path) -> None:
    sink = mlflow(silent, interval=0.05, timeout=0.5)
    sink.follow(folder := trial(tmp_path / "runs"))
    Training(folder).epochs(3).end()
    began = time.monotonic()
    (warning,) = sink.close(60.0)
    assert time.monotonic() - began < 5.0
    assert f"12 points not uploaded to {silent}: no answer within 0.5 s" in warning


def test_the_interpreter_exits_while_a_server_hangs(silent: str, tmp_path: Path) -> None:
    Training(folder := trial(tmp_path / "runs")).epochs(3).end()
    program = f"""
import time
from pathlib import Path
from typing import Any
from ablation.track.mlflow import mlflow
sink = mlflow({silent!r})
sink.follow(Path({str(folder)!r}))
time.sleep(4)
print(sink.close(0.2))
from mlflow.telemetry import get_telemetry_client
assert get_telemetry_client() is None
"""
    environment = {"PYTHONPATH": str(Path.cwd()), "MLFLOW_HTTP_REQUEST_TIMEOUT": "100"}
    out = subprocess.run(
        [sys.executable, "-c", program], env=environment, timeout=30, capture_output=True, text=True, check=True
    )
    assert "no answer within 0.2 s" in out.stdout
    assert out.stderr == ""


def test_a_locked_database_is_left_after_the_timeout(
    client: MlflowClient, uri: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = sqlite3.connect(uri.removeprefix("sqlite:///"))
    lock.execute("BEGIN EXCLUSIVE")
    sink = mlflow(uri, interval=0.05)
    sink.follow(folder := trial(tmp_path / "runs"))
    Training(folder).epochs(3).end()
    began = time.monotonic()
    (warning,) = sink.close(1.0)
    assert time.monotonic() - began < 5.0
    assert "12 points not uploaded" in warning
    lock.close()
    # The thread that was given up may come through now: then two write the same trial.
    assert cli.main(["sync", "--out", str(tmp_path / "runs"), "--uri", uri]) == 0
    assert_each_point_once(client, the_run(client), range(1, 4))
    assert the_run(client).info.status == "FINISHED"
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("uri", ["sqlite:////proc/no/mlflow.db", "postgresql://nobody@127.0.0.1:9/x"])
def test_a_wrong_address_is_a_warning(uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sink = mlflow(uri)
    sink.follow(folder := trial(tmp_path / "runs"))
    Training(folder).epochs(1).end()
    (warning,) = sink.close(1.0)
    assert "4 points not uploaded" in warning
    assert {p.name for p in tmp_path.iterdir()} == {"runs"}


def test_a_folder_without_its_arm_is_a_warning(uri: str, tmp_path: Path) -> None:
    sink = mlflow(uri)
    sink.follow(folder := trial(tmp_path / "runs"))
    (folder.parent / "arm.json").unlink()
    Training(folder).epochs(1).end()
    (warning,) = sink.close()
    assert "arm.json" in warning


@pytest.mark.parametrize("values", [{"uri": ""}, {"interval": 0}, {"timeout": -1}])
def test_values_that_make_no_sense_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"^{next(iter(values))}: "):
        mlflow(**{"uri": "sqlite:///x.db", **values})


def test_making_the_sink_imports_and_starts_nothing() -> None:
    program = """
import sys, threading
from ablation.track.mlflow import mlflow
mlflow("sqlite:///x.db")
assert threading.active_count() == 1
assert not {"mlflow", "sqlalchemy", "torch"} & sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", program], env={"PYTHONPATH": str(Path.cwd())}, check=True)
