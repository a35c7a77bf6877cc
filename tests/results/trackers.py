"""A tracker with trials in every state, and with much that is no trial."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

from ablation.track.client import connect
from ablation.track.upload import upload
from tests.track.trials import Training, trial

A, B, C, D, E = (f"{letter:0>16}" for letter in "abcde")
START = 1_700_000_000_000  # ms since 1970


def world(home: Path) -> str:
    """The URI of a database in that folder; there are no run folders.

    Sweep `main`: A, seeds 0 to 2 as `upload` leaves them (finished, running, failed) and B, seeds 0 and 10, trained
    anew. Sweep `other`: C, that `main` asked for too, and D, whose newest training is in `main`.
    """
    uri = f"sqlite:///{home / 'mlflow.db'}"
    client = connect(uri)
    _uploaded(client, home / "runs")
    main = client.get_experiment_by_name("main")
    assert main is not None
    here, there, gone = main.experiment_id, client.create_experiment("other"), client.create_experiment("gone")
    newer = record(client, here, B, 0, START + 9, acc=91.0)
    record(client, here, B, 0, START, {"ablation.superseded_by": newer}, acc=1.0)
    record(client, here, B, 10, START, acc=math.nan)
    record(client, here, B, 10, START, status="RUNNING")  # of a create that timed out
    client.delete_run(record(client, here, B, 0, START + 99, acc=2.0))
    record(client, there, C, 0, START, {"ablation.sweep": "other", "ablation.sweeps": "main,it's"}, acc=70.0)
    record(client, there, D, 0, START, {"ablation.sweep": "other"}, acc=50.0)
    record(client, here, D, 0, START + 1, status="KILLED")
    record(client, there, E, 0, START, {"ablation.sweep": "mainly", "ablation.sweeps": "domain,mainly"}, acc=3.0)
    record(client, here, A, 0, START + 10**12, {"ablation.kind": "arm"}, acc=4.0)
    record(client, gone, A, 0, START + 10**12, {"ablation.sweep": "gone"}, acc=5.0)
    record(client, here, A, 0, START + 10**12, {"ablation.seed": "first"}, acc=6.0)
    client.create_run(here, tags={"aug": "cutout"}, run_name="of another tool")
    client.delete_experiment(gone)
    return uri


def _uploaded(client: MlflowClient, out: Path) -> None:
    folders = [trial(out, seed, A) for seed in range(3)]
    Training(folders[0]).epochs(3).end()
    Training(folders[1]).epochs(2)
    Training(folders[2]).epochs(1).end("failed", cause="diverged", message="the loss is nan")
    for folder in folders:
        upload(client, folder)
    shutil.rmtree(out)


def record(
    client: MlflowClient,
    experiment: str,
    arm: str,
    seed: int,
    started: int,
    tags: dict[str, str] | None = None,
    status: str = "FINISHED",
    acc: float | None = None,
) -> str:
    """A run written by hand; returns its id."""
    own = {"id": arm, "seed": str(seed), "sweep": "main", "started": str(started)}
    all_tags = {**{f"ablation.{key}": text for key, text in own.items()}, "aug": "none", **(tags or {})}
    run = str(client.create_run(experiment, started, all_tags, f"arm {arm[-1]} seed={seed}").info.run_id)
    metrics = (
        [] if acc is None else [Metric("result/test_acc", acc, started, 2), Metric("result/seed", seed, started, 2)]
    )
    metrics += [Metric("lr", 0.1 / epoch, started + epoch, epoch) for epoch in (1, 2)]
    client.log_batch(run, metrics, [Param("optim.lr", "0.1"), Param("näme/x", "'\"%")], [RunTag("odd", "ö")])
    client.set_terminated(run, status) if status != "RUNNING" else None
    return run
