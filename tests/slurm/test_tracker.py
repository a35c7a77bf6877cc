"""An MLflow server that refuses or hangs harms no job: what it lacks is brought to it by the keeper, or by `sync`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from shutil import copy

import pytest
from mlflow import MlflowClient
from slurm.cluster import Cluster, call, until
from slurm.lab import LONG, Lab, attempts, check, done, folders, rounds
from track.odd import TOKEN, OddTracker, odd_tracker

from ablation.store import journal
from ablation.track.client import connect
from launch.cli import main
from launch.slurm import keeper_job
from launch.sweep.submission import Submission
from tests.track.conftest import Server, empty_database  # noqa: F401 (a fixture)
from tests.track.trials import mlflow_warns

pytestmark = mlflow_warns


@pytest.fixture(scope="module")
def server(empty_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:  # noqa: F811
    server = Server(Path(copy(empty_database, tmp_path_factory.mktemp("server"))))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def tracker(monkeypatch: pytest.MonkeyPatch) -> Iterator[OddTracker]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with odd_tracker("hang") as made:
        yield made


def tracked(tracker: OddTracker, count: int) -> tuple[str, ...]:
    return "track=[mlflow]", f"track.mlflow.uri={tracker.uri}", "track.mlflow.timeout=2", f"seeds={count}"


def ended(cluster: Cluster) -> None:
    """No job is there any more, and so nobody that may upload."""
    until(lambda: not cluster.queue(), "the jobs to have ended")


def recorded(client: MlflowClient, submission: Submission) -> bool:
    """Every trial is there, finished, with each of its epochs once; and the run of the arm."""
    (planned,) = submission.arms.values()
    (experiment,) = client.search_experiments(filter_string=f"name = '{submission.name}'")
    runs = client.search_runs([experiment.experiment_id], f"tags.`ablation.id` = '{planned.arm.id}'")
    assert sorted(run.data.tags["ablation.kind"] for run in runs) == ["arm", *["trial"] * len(planned.seeds)]
    for run in (run for run in runs if run.data.tags["ablation.kind"] == "trial"):
        folder = submission.out / planned.arm.id / f"seed-{run.data.tags['ablation.seed']}"
        steps = [e["epoch"] for e in journal.history(journal.events(folder))]
        assert [point.step for point in client.get_metric_history(run.info.run_id, "test_acc")] == steps
    return all(run.info.status == "FINISHED" for run in runs)


@pytest.mark.slow
def test_a_tracker_that_is_locked_and_then_not(
    cluster: Cluster,
    tmp_path: Path,
    tracker: OddTracker,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tracker.mood, tracker.behind = "locked", server.uri
    lab = Lab(tmp_path)
    submission, report = lab.submit(lab.arms(1, *tracked(tracker, 2), "sweep=locked"), keeper=True)
    ended(cluster)
    assert set(cluster.states(report.jobs[0]).values()) == {("COMPLETED", "0:0")}
    assert attempts(submission) == [1, 1]
    check(submission)
    lines = [line for log in (submission.folder / "jobs").glob("*.out") for line in log.read_text().splitlines()]
    (said,) = {line for line in lines if line.startswith("MLflow: ")}
    assert said.startswith(f"MLflow: cannot upload to MLflow at {tracker.uri}: answers with error 401")
    assert said.endswith(f"run: ablation sync --out {lab.out}")
    sync = ["sync", "--out", str(lab.out)]
    assert main(sync) == 1
    (said,) = capsys.readouterr().err.splitlines()
    assert "401" in said
    assert "MLFLOW_TRACKING_TOKEN" in said
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", TOKEN)
    assert main(sync) == 0
    assert recorded(connect(server.uri), submission)


@pytest.mark.slow
def test_a_tracker_that_hangs_and_then_answers(
    cluster: Cluster, tmp_path: Path, tracker: OddTracker, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither the jobs nor a job that has to save in haste wait for it; the keeper uploads what they could not."""
    lab = Lab(tmp_path)
    lab.brake(1)
    submission, report = lab.submit(lab.arms(1, LONG, *tracked(tracker, 1), "sweep=hanging"))
    lab.begun(submission)
    call("scancel", "--signal=USR2", f"{report.jobs[0]}_0")
    began = time.monotonic()
    until(lambda: cluster.queue("%T") == ["PENDING"], "the job to wait again")
    assert time.monotonic() - began < 30
    lab.brake(None)
    until(lambda: done(submission), "the requeued job")
    assert rounds(submission)[-1].done == 1
    assert attempts(submission) == [2]
    check(submission)
    ended(cluster)
    assert any("not uploaded" in log.read_text() for log in (submission.folder / "jobs").glob("*.out"))
    tracker.mood, tracker.behind = "good", server.uri
    assert keeper_job.main(submission.folder) == 0
    assert "MLflow" not in capsys.readouterr().out
    assert recorded(connect(server.uri), submission)
    assert len(folders(submission)) == 1
