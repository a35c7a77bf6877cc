"""A real `mlflow server`, killed in the middle; and several processes that upload the same trial."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

from mlflow import MlflowClient

from ablation.track.client import connect
from ablation.track.mlflow import mlflow
from ablation.track.upload import upload
from tests.track.conftest import Server
from tests.track.trials import Training, assert_each_point_once, mlflow_warns, runs, the_run, trial, wait_for

pytestmark = mlflow_warns


def uploaded(client: MlflowClient, sweep: str, epoch: int) -> bool:
    found = runs(client, sweep)
    return bool(found) and found[0].data.tags.get("ablation.uploaded_epoch") == str(epoch)


def test_a_server_killed_while_training_ends_with_each_point_once(server: Server, tmp_path: Path) -> None:
    client = connect(server.uri)
    sink = mlflow(server.uri, interval=0.1)
    training = Training(folder := trial(tmp_path / "runs", sweep="killed"))
    sink.follow(folder)
    training.epochs(5)
    wait_for(lambda: uploaded(client, "killed", 5))
    server.kill()
    training.epochs(5)
    time.sleep(0.5)
    server.start()
    training.epochs(5).end()
    assert sink.close() == []
    run = the_run(client, "killed")
    assert run.info.status == "FINISHED"
    assert run.data.tags["aug"] == "cutout+mixup"
    assert_each_point_once(client, run, range(1, 16))
    assert len(client.list_artifacts(run.info.run_id)) == 4


def test_a_server_killed_while_uploading_ends_with_each_point_once(server: Server, tmp_path: Path) -> None:
    client = connect(server.uri)
    Training(folder := trial(tmp_path / "runs", sweep="cut")).epochs(1000).end()
    blow = threading.Timer(0.25, server.kill)
    blow.start()
    try:
        upload(client, folder)
    except Exception as e:
        assert "Connection" in str(e)  # noqa: PT017 (a fast machine may be done before the blow)
    blow.join()
    server.start()
    upload(client, folder)
    assert upload(client, folder) == 0
    assert_each_point_once(client, the_run(client, "cut"), range(1, 1001))


def sync_twice_at_once(out: Path, uri: str) -> list[str]:
    """What two `ablation sync`, started together, print."""
    command = [sys.executable, "-m", "launch", "sync", "--out", str(out), "--uri", uri]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for _ in range(2)]
    printed = [process.communicate(timeout=60)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], printed
    return printed


def test_two_processes_at_once_make_one_run_a_trial(server: Server, tmp_path: Path) -> None:
    for seed in range(3):
        Training(trial(tmp_path / "runs", seed=seed, arm=f"{seed:016x}", sweep="two")).epochs(300).end()
    sync_twice_at_once(tmp_path / "runs", server.uri)
    client = connect(server.uri)
    assert len(runs(client, "two")) == 3
    for run in runs(client, "two"):
        assert_each_point_once(client, run, range(1, 301))


def test_two_processes_may_be_the_first_to_use_a_database(tmp_path: Path) -> None:
    Training(trial(tmp_path / "runs")).epochs(20).end()
    uri = f"sqlite:///{tmp_path}/new/mlflow.db"
    printed = sync_twice_at_once(tmp_path / "runs", uri)
    assert sorted(text.splitlines()[-1].split()[0] for text in printed) == ["0", "85"], printed
    assert_each_point_once(connect(uri), the_run(connect(uri)), range(1, 21))
