"""Runs and curves out of real trackers: SQLite read directly, by MLflow's client, and by a server."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Collection
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest
from mlflow import MlflowClient
from pandas.testing import assert_frame_equal

from ablation.errors import AblationError, ConfigError
from results.read import curves, runs
from results.trackers.client import Tracker
from results.trackers.frame import paths, tidy
from results.trackers.sqlite import _LAYOUT
from tests.bench.read import fill
from tests.results.trackers import START, A, B, C, D, E, world
from tests.track.conftest import Server, free_port
from tests.track.trials import METRICS, mlflow_warns, value

pytestmark = mlflow_warns

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Not to be changed."""
    return world(tmp_path_factory.mktemp("world"))


@pytest.fixture
def own(uri: str, tmp_path: Path) -> Path:
    """A database of the test's own."""
    return Path(shutil.copy(uri.removeprefix("sqlite:///"), tmp_path))


def row(frame: pd.DataFrame, arm: str, seed: int) -> pd.Series:
    (index,) = frame.index[(frame["id"] == arm) & (frame["seed"] == seed)]
    return frame.loc[index]


def test_one_row_a_trial_and_no_other(uri: str) -> None:
    frame = runs(uri)
    trials = [(A, 0), (A, 1), (A, 2), (B, 0), (B, 10), (C, 0), (D, 0), (E, 0)]
    assert list(zip(frame["id"], frame["seed"], strict=True)) == trials
    assert list(frame["status"]) == ["FINISHED", "RUNNING", "FAILED", *["FINISHED"] * 3, "KILLED", "FINISHED"]


def test_what_an_upload_leaves_is_read_without_run_folders(uri: str) -> None:
    frame = runs(uri, ids=[A])
    done, failed = row(frame, A, 0), row(frame, A, 2)
    expected = {
        "name": "aug=cutout+mixup",
        "sweep": "main",
        "sweeps": ("main",),
        "command": "python launch/run.py 'aug=[cutout,mixup]'",
        "commit": "0123abc",
        "device": "cpu",
        "cause": "",
        "data.name": "digits",
        "data.pixels": "abc123",
        "data.test": "",
        "group.aug": "cutout+mixup",
        "group.loss": "",
        "param.optim.lr": "0.2",
        "test_acc": value("test_acc", 3),
        "best_test_acc": 99.5,
        "epochs": 3.0,
    }
    assert {key: done[key] for key in expected} == expected
    assert done["started"] > START
    assert (failed["cause"], failed["device"]) == ("diverged", "")
    assert frame.loc[1:, "test_acc"].isna().all()
    assert not {"param.aug", "param.model"} & set(frame.columns), "groups have columns of their own"


def test_the_newest_training_that_is_not_superseded_counts(uri: str) -> None:
    frame = runs(uri)
    assert row(frame, B, 0)["test_acc"] == 91.0
    assert row(frame, B, 10)["status"] == "FINISHED", "of two runs of one training"
    assert pd.isna(row(frame, B, 10)["test_acc"]), "it was recorded as nan"
    assert (row(frame, D, 0)["status"], row(frame, D, 0)["sweep"]) == ("KILLED", "main")


def test_a_trial_belongs_to_all_sweeps_that_asked_for_it(uri: str) -> None:
    assert list(runs(uri, sweep="main")["id"]) == [A, A, A, B, B, C, D]
    assert list(runs(uri, sweep="other")["id"]) == [C, D]
    assert list(runs(uri, sweep="it's")["id"]) == [C]
    assert row(runs(uri), C, 0)["sweeps"] == ("other", "it's", "main")
    assert row(runs(uri, sweep="other"), D, 0)["sweeps"] == ("main", "other")
    assert runs(uri, sweep="mai").empty


def test_nothing_asked_for_is_an_empty_frame_with_columns_and_types(uri: str) -> None:
    empty, full = runs(uri, ids=[]), runs(uri)
    assert empty.empty
    assert (full.dtypes[empty.columns] == empty.dtypes).all()
    assert {"id", "sweeps", "cause", "data.pixels", "group.aug", "test_acc", "val_acc", "seconds"} <= set(empty.columns)
    assert list(curves(uri, empty, ["lr"]).columns) == ["id", "seed", "epoch", "lr"]


def test_curves_have_a_row_an_epoch(uri: str) -> None:
    frame = runs(uri, ids=[A, C])
    found = curves(uri, frame, [*METRICS, "never"])
    epochs = [(A, 0, 1), (A, 0, 2), (A, 0, 3), (A, 1, 1), (A, 1, 2), (A, 2, 1), (C, 0, 1), (C, 0, 2)]
    assert list(zip(found["id"], found["seed"], found["epoch"], strict=True)) == epochs
    for metric in METRICS:
        assert list(found[metric][:3]) == [value(metric, epoch) for epoch in (1, 2, 3)]
    assert found["never"].isna().all()
    assert list(found["lr"][-2:]) == [0.1, 0.05]
    assert found["test_acc"][-2:].isna().all()


QUESTIONS: list[tuple[Collection[str] | None, str | None]] = [
    (None, None),
    ([A, D, "f" * 16], None),
    ([f"{i:016x}" for i in range(200)], None),
    ([], None),
    (None, "main"),
    (None, "it's"),
    (None, "none"),
]


def assert_same(uri: str, client: MlflowClient) -> None:
    """The client gives the same frames as the file."""
    tracker = Tracker(client)
    for ids, sweep in QUESTIONS:
        assert_frame_equal(tidy(tracker.runs(ids, sweep), sweep), runs(uri, ids, sweep))
    frame, metrics = runs(uri), ["lr", "test_acc", "result/test_acc"]
    points = tracker.points(list(frame["run_id"]), metrics)
    assert_frame_equal(paths(frame, points, metrics), curves(uri, frame, metrics))


def test_the_client_and_a_server_give_the_same(uri: str, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_same(uri, MlflowClient(f"sqlite:///{own}"))
    server = Server(own)
    server.start()
    try:
        monkeypatch.setattr("results.trackers.client._PAGE", 3)
        assert_same(uri, MlflowClient(server.uri))
        assert_frame_equal(runs(server.uri, sweep="main"), runs(uri, sweep="main"))
    finally:
        server.kill()


def test_a_server_that_is_not_there_is_told_at_once() -> None:
    with pytest.raises(ConfigError, match="does not answer"):
        runs(f"http://127.0.0.1:{free_port()}")


def test_a_layout_that_is_not_known_is_read_by_mlflow(uri: str, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected, before = runs(uri), own.read_bytes()
    monkeypatch.setitem(_LAYOUT, "runs", {"run_uuid", "of_another_version"})
    assert_frame_equal(runs(f"sqlite:///{own}"), expected)
    assert own.read_bytes() == before


def test_mlflow_migrates_no_more_than_a_copy(own: Path) -> None:
    with closing(sqlite3.connect(own)) as base, base:
        base.execute("ALTER TABLE latest_metrics RENAME TO newest_metrics")
        base.execute("DROP TABLE alembic_version")
    before = own.read_bytes()
    with pytest.raises(ConfigError, match="no tracker of MLflow"):  # it tries to make the tables it misses
        runs(f"sqlite:///{own}")
    assert own.read_bytes() == before
    assert sorted(path.name for path in own.parent.iterdir()) == ["mlflow.db"]


def test_reading_changes_nothing(uri: str, own: Path) -> None:
    before = own.read_bytes()
    curves(f"sqlite:///{own}", runs(f"sqlite:///{own}"), ["lr"])
    assert own.read_bytes() == before
    assert sorted(path.name for path in own.parent.iterdir()) == ["mlflow.db"]


@pytest.mark.parametrize(
    "wrong", ["sqlite:///none.db", "sqlite://", "sqlite:///", "nowhere", "foo://bar", "file:///no"]
)
def test_where_no_tracker_is_none_is_made(wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"no file|no tracker"):
        runs(wrong)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", [b"", b"no database" * 1000])
def test_other_files_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(content)
    with pytest.raises(ConfigError, match=r"x\.db is no database of MLflow"):
        runs(f"sqlite:///{tmp_path / 'x.db'}")
    assert (tmp_path / "x.db").read_bytes() == content


def test_a_locked_database_is_waited_for(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("results.trackers.sqlite._PATIENCE", 0.1)
    with closing(sqlite3.connect(own)) as base:
        base.execute("BEGIN EXCLUSIVE")
        with pytest.raises(AblationError, match="locked"):
            runs(f"sqlite:///{own}")
    assert len(runs(f"sqlite:///{own}")) == 8


def test_what_a_killed_writer_left_is_rolled_back(own: Path, tmp_path: Path) -> None:
    expected = runs(f"sqlite:///{own}")
    (crashed := tmp_path / "crashed").mkdir()
    with closing(sqlite3.connect(own, isolation_level=None)) as base:
        base.execute("PRAGMA cache_size = 5")  # so that pages are written before the end
        base.execute("BEGIN")
        base.execute("DELETE FROM tags")
        rows = ((f"key {n}", "x" * 3000, expected["run_id"][0]) for n in range(200))
        base.executemany("INSERT INTO tags (key, value, run_uuid) VALUES (?, ?, ?)", rows)
        for file in (own, own.with_name("mlflow.db-journal")):
            shutil.copy(file, crashed)
    assert_frame_equal(runs(f"sqlite:///{crashed / 'mlflow.db'}"), expected)


WRITER = """
import sys
from mlflow import MlflowClient
from mlflow.entities import Metric
client = MlflowClient(sys.argv[1])
print("begins", flush=True)
for step in range(3, 60):
    client.log_batch(sys.argv[2], [Metric("lr", 0.1, step, step), Metric("test_acc", 0.5, step, step)])
"""


def test_others_write_meanwhile(own: Path) -> None:
    uri = f"sqlite:///{own}"
    frame = runs(uri, ids=[C])
    command = [sys.executable, "-W", "ignore", "-c", WRITER, uri, frame["run_id"][0]]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)}) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        seen = [0]
        while writer.poll() is None:
            found = curves(uri, frame, ["lr", "test_acc"])
            assert found.loc[2:].notna().all(axis=None), "both of a batch, or neither"
            seen.append(len(found))
            time.sleep(0.01)
    assert writer.returncode == 0
    assert sorted(seen) == seen
    assert len(set(seen)) > 5
    assert len(curves(uri, frame, ["lr"])) == 59


@pytest.mark.slow
def test_ten_thousand_runs_in_five_seconds(own: Path) -> None:
    fill(own, runs=10_000, epochs=5)
    begin = time.process_time()
    frame = runs(f"sqlite:///{own}")
    assert time.process_time() - begin < 5
    assert len(frame) == 10_008
