"""What a local sweep leaves behind when it ends, or is asked to stop: MLflow's runs, and the summary of a retry."""

from __future__ import annotations

import signal
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from tests.launch.test_local import saved, start
from tests.launch.workshop import ROOT, until
from tests.track.conftest import empty_database, uri  # noqa: F401
from tests.track.trials import mlflow_warns

pytestmark = mlflow_warns

ONE = ("optim.lr=0.1", "seeds=1", "hydra.launcher.workers=1")


def track(tracker: str) -> tuple[str, str]:
    return "track=[mlflow]", f"track.mlflow.uri={tracker}"


def statuses(tracker: str, kind: str) -> list[str]:
    client: Any = MlflowClient(tracker)
    found = client.search_runs([client.get_experiment_by_name("main").experiment_id])
    return sorted(run.info.status for run in found if run.data.tags["ablation.kind"] == kind)


@pytest.mark.timeout(900)
def test_an_interrupted_sweep_ends_the_runs_of_its_arms_and_retry_tells_of_the_whole(
    tmp_path: Path,
    uri: str,  # noqa: F811
) -> None:
    out = tmp_path / "out"
    long = ("optim.lr=0.1,0.2", "seeds=2", "epochs=30", "hydra.launcher.workers=1", *track(uri))
    with start(out, *long) as run:
        until(lambda: list(out.glob("*/seed-*/result.json")) and saved(out) == 2, 300)
        run.send_signal(signal.SIGTERM)
        said, _ = run.communicate(timeout=300)
    assert run.returncode == 130, said
    assert "1 of 4 done, 1 stopped, 2 not started" in said
    assert statuses(uri, "trial") == ["FINISHED", "KILLED"]
    assert statuses(uri, "arm") == ["KILLED"] * 2, "each has a seed that nobody is to begin"

    line = [sys.executable, "-m", "launch", "retry", "--out", str(out), "--state", "stopped"]
    again = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert again.returncode == 0, again.stdout + again.stderr
    summary = again.stdout[again.stdout.index("sweep main") :]
    assert "trials      2 of 4 done, 2 not started" in summary
    assert "1 of these were done already" in summary
    assert [row.split()[1:5] for row in summary.splitlines()[2:4]] == [["1", "not", "started", "1/2"]] * 2
    assert statuses(uri, "trial") == ["FINISHED"] * 2
    assert statuses(uri, "arm") == ["KILLED"] * 2


@pytest.mark.timeout(900)
def test_what_trials_could_not_upload_is_tried_once_more_at_the_end(
    tmp_path: Path,
    uri: str,  # noqa: F811
) -> None:
    with closing(sqlite3.connect(uri.removeprefix("sqlite:///"), isolation_level=None)) as held:
        held.execute("BEGIN EXCLUSIVE")
        with start(tmp_path / "out", *ONE, *track(uri), "track.mlflow.timeout=1") as run:
            assert run.stdout is not None
            until(lambda: "not uploaded to" in run.stdout.readline(), 300)  # type: ignore[union-attr]
            held.execute("ROLLBACK")
            said, _ = run.communicate(timeout=200)
    assert run.returncode == 0, said
    assert "MLflow has them now" in said
    assert statuses(uri, "trial") == statuses(uri, "arm") == ["FINISHED"]


@pytest.mark.timeout(900)
def test_a_silent_tracker_neither_holds_up_the_end_nor_changes_the_exit_code(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        tracker = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with start(tmp_path, *ONE, *track(tracker), "track.mlflow.timeout=1") as run:
            said, _ = run.communicate(timeout=500)
    assert run.returncode == 0, said
    assert "1 of 1 done" in said
    last = said.splitlines()[-1]
    assert last.startswith("note: MLflow may lack something of these trials: cannot upload")
    assert last.endswith(f"run: ablation sync --out {tmp_path}")
