"""What keeps a tracker from recording is said before training, with a way out that works when it is typed."""

from __future__ import annotations

import os
import re
import shlex
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from tiny import config

from ablation.errors import ConfigError
from ablation.track.mlflow import mlflow
from ablation.track.ready import trouble
from ablation.trial.parts import parts
from launch.sweep.upload import tracker_problems
from tests.track.trials import mlflow_warns

REFUSED = {
    "": "is empty",
    "./mlruns": r"\./mlruns is a folder of files.*type track\.mlflow\.uri=sqlite:///.*--source \./mlruns",
    "mlruns": "is a folder of files",
    "/data/mlruns": "--source /data/mlruns",
    "file:///data/mlruns": "--source /data/mlruns",
    "file:mlruns": "--source mlruns",
    "sqllite:///x.db": "MLflow knows no sqllite; did you mean sqlite",
    "ftp://host/x": "MLflow knows no ftp; (valid|did you mean)",
    "sqlite:/x.db": "after three slashes",
    "sqlite://x.db": "after three slashes",
    "sqlite:///": "after three slashes",
    "http:/host:5000": "names no host",
    "localhost:5000": "MLflow knows no localhost",
}


@pytest.mark.parametrize("uri", REFUSED)
def test_what_mlflow_never_takes_is_refused(uri: str) -> None:
    with pytest.raises(ValueError, match=f"^uri: .*{REFUSED[uri]}"):
        mlflow(uri)


@pytest.mark.parametrize(
    "uri",
    [
        "sqlite:///x.db",
        "sqlite:////abs/x.db",
        "http://h:5000",
        "https://h/x",
        "postgresql+psycopg2://u@h/x",
        "databricks",
        "databricks://p",
    ],
)
def test_what_it_takes_passes(uri: str) -> None:
    mlflow(uri)


def test_it_is_refused_with_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "./mlruns")
    with pytest.raises(ConfigError, match=r"^track\.mlflow\.uri: \./mlruns is a folder of files") as refused:
        parts(config("track=[mlflow]"))
    way = re.findall(r"type (track\.mlflow\.uri=\S+),", str(refused.value))[0]
    parts(config("track=[mlflow]", way))
    parts(config("track=[]"))


@pytest.fixture
def recorded(tmp_path: Path) -> Callable[[str], Path]:
    """A database with an experiment `main` of this stage of life, as MLflow 3 makes it."""

    def make(stage: str) -> Path:
        file = tmp_path / "it's.db"
        with closing(sqlite3.connect(file)) as made:
            made.execute("CREATE TABLE experiments (experiment_id INTEGER, name VARCHAR, lifecycle_stage VARCHAR)")
            made.execute("INSERT INTO experiments VALUES (7, 'main', ?)", (stage,))
            made.commit()
        return file

    return make


def test_nothing_is_said_of_a_tracker_that_works(recorded: Callable[[str], Path], tmp_path: Path) -> None:
    assert trouble(f"sqlite:///{recorded('active')}", "main") == ""
    assert trouble(f"sqlite:///{tmp_path / 'new' / 'er' / 'mlflow.db'}", "main") == "", "made as needed"
    (tmp_path / "empty.db").touch()
    assert trouble(f"sqlite:///{tmp_path / 'empty.db'}", "main") == ""
    assert trouble("postgresql://h/x", "main") == "", "not known"


def test_the_bin(recorded: Callable[[str], Path]) -> None:
    uri = f"sqlite:///{recorded('deleted')}"
    assert trouble(uri, "other") == ""
    said = trouble(uri, "main")
    assert "the experiment 'main' is in the bin" in said
    assert f"MLFLOW_TRACKING_URI={shlex.quote(uri)} mlflow experiments restore --experiment-id 7, or" in said
    tracked = config("track=[mlflow]", "sweep=main", f'track.mlflow.uri="{uri}"')
    assert tracker_problems([tracked, tracked]) == [said], "once"
    assert tracker_problems([config("track=[mlflow]", "sweep=other", f'track.mlflow.uri="{uri}"')]) == []


def test_a_database_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("hello " * 999)
    assert "cannot be asked (file is not a database)" in trouble(f"sqlite:///{tmp_path / 'x.db'}", "main")
    assert "x.db is a file and no folder" in trouble(f"sqlite:///{tmp_path / 'x.db' / 'y.db'}", "main")


def test_a_database_that_may_not_be_written(
    recorded: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = recorded("active")
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != file)  # root may write everything
    assert f"{file} may not be written; make it so (chmod u+w {shlex.quote(str(file))})" in trouble(
        f"sqlite:///{file}", "main"
    )
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path)
    assert f"{tmp_path} may not be written" in trouble(f"sqlite:///{tmp_path / 'a' / 'b.db'}", "main")


@pytest.mark.slow
@mlflow_warns
def test_what_is_typed_brings_an_experiment_back(tmp_path: Path) -> None:
    """With MLflow itself: an experiment is made, put into the bin, found there, and brought back by the line."""
    from ablation.track.client import connect

    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    client = connect(uri)
    client.delete_experiment(client.create_experiment("main"))
    (line,) = re.findall(r"(MLFLOW_TRACKING_URI=\S+ mlflow .*?), or", trouble(uri, "main"))
    subprocess.run(line.replace(" mlflow ", f" {shlex.quote(sys.executable)} -m mlflow "), shell=True, check=True)
    assert trouble(uri, "main") == ""
