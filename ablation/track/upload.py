"""Bring one trial's files to MLflow. Doing it again, after a crash at any point or in two processes, changes nothing.

What the tracker has is known from the tracker: the tag `ablation.uploaded_epoch` travels in one request with
the points, and points keep the time of their journal, so that points sent again are the same rows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Run, RunTag

from ablation.store import attempt
from ablation.store.arm_files import CONFIG
from ablation.store.journal import JOURNAL, Event
from ablation.store.result import RESULT
from ablation.track import arm_run, mlflow_runs
from ablation.track.mlflow_runs import EPOCH, PARENT, SUPERSEDED, Family, uploaded
from ablation.track.trial_files import Expected, Record, load, numbers, stamp

STARTED = "ablation.started"  # ms since 1970: of two trainings of one trial, the folder of one was moved away
FILES = "ablation.uploaded_files"
FAILURE = {"ablation.cause", "ablation.message"}
_LOCK = ".upload.lock"  # in a seed's folder, and in its arm's
_POINTS = 900  # in a request: MLflow takes 1000 entries of all kinds
_PATIENCE = 60.0  # seconds to wait for another process that uploads the same trial


def upload(client: MlflowClient, folder: Path, title: str = "", expected: Expected | None = None) -> int:
    """Upload what is new in a seed folder: how many points that was. The run of its arm, over all seeds, follows.

    `title` names the arm where its sweep has not. What nobody trains and nobody is `expected` to begin has been killed.

    Raises:
        Exception: of many kinds if the tracker or the folder cannot be used; call again later.
    """
    with FileLock(folder / _LOCK, timeout=_PATIENCE):
        record = load(folder, title, expected)
        if not record.events:
            return 0
        where = mlflow_runs.experiment(client, record.arm["sweep"])
        known = mlflow_runs.look(client, where, record.arm["id"])
        run = _run(client, known, record)
        changed = run not in known.runs or run.info.status != record.status
        points = _epochs(client, run, record) + _state(client, run, record)
        if changed or arm_run.due(known, record):
            with FileLock(folder.parent / _LOCK, timeout=_PATIENCE):
                arm_run.bring(client, mlflow_runs.look(client, where, record.arm["id"]), record)
        _files(client, run, record)  # last: a broken artifact store must not hold back the numbers
        return points


def _run(client: MlflowClient, known: Family, record: Record) -> Run:
    """The run of this training of the trial, made if there is none; those of earlier trainings are marked.

    A run from before there was the tag is taken for this training's.
    """
    trainings = [run for run in known.trials if run.data.tags.get("ablation.seed") == record.seed]
    own = (run for run in trainings if _started(run, record) == record.started)
    found = sorted(own, key=lambda run: (-uploaded(run), run.info.run_id))
    mlflow_runs.delete(client, found[1:])  # a create that timed out may have been carried out all the same
    above = {PARENT: known.arms[0].info.run_id} if known.arms else {}
    tags = {**record.tags, **above}
    run = (
        found[0] if found else client.create_run(known.experiment, record.started, mlflow_runs.short(tags), record.name)
    )
    mlflow_runs.describe(client, run, tags, record.params)
    for old in trainings:
        if _started(old, record) < record.started and SUPERSEDED not in old.data.tags:
            _supersede(client, old, record, run)
    if run.info.run_name != record.name and SUPERSEDED not in run.data.tags:
        client.update_run(run.info.run_id, name=record.name)
    return run


def _supersede(client: MlflowClient, old: Run, record: Record, new: Run) -> None:
    """Keep a run of an earlier training, told apart from the one that counts."""
    status = "KILLED" if old.info.status == "RUNNING" else None
    client.update_run(old.info.run_id, status, f"{record.name} (superseded)")
    client.set_tag(old.info.run_id, SUPERSEDED, new.info.run_id)


def _started(run: Run, record: Record) -> int:
    return int(run.data.tags.get(STARTED, record.started))


def _epochs(client: MlflowClient, run: Run, record: Record) -> int:
    """Log the epochs that the run lacks; returns the number of points."""
    points = 0
    for batch in _batches([e for e in record.epochs if e["epoch"] > uploaded(run)]):
        metrics = [m for epoch in batch for m in _metrics(epoch["metrics"], epoch, epoch["epoch"])]
        client.log_batch(run.info.run_id, metrics=metrics, tags=[RunTag(EPOCH, str(batch[-1]["epoch"]))])
        points += len(metrics)
    return points


def _batches(epochs: list[Event]) -> Iterator[list[Event]]:
    """Whole epochs that fit one request."""
    size = max(1, _POINTS // max((len(e["metrics"]) for e in epochs), default=1))
    return (epochs[i : i + size] for i in range(0, len(epochs), size))


def _metrics(values: dict[str, object], event: Event, step: int) -> list[Metric]:
    return [Metric(key, value, stamp(event), step) for key, value in numbers(values).items()]


def _state(client: MlflowClient, run: Run, record: Record) -> int:
    """Set the status, and at the end the result as metrics `result/...`; returns the number of points."""
    now, ended = record.status, record.ended
    for tag in (FAILURE & run.data.tags.keys()) - record.words.keys():  # of an attempt that has been made good
        client.delete_tag(run.info.run_id, tag)
    if run.info.status == now and (ended is None or run.info.end_time == ended):
        return 0
    if ended is None:
        client.update_run(run.info.run_id, status=now)
        return 0
    final = {f"result/{key}": value for key, value in record.result.items()} if now == "FINISHED" else {}
    metrics = _metrics(final, record.last, step=0)  # all at one step: MLflow's pages draw bars then, else single dots
    tags = [RunTag(key, text) for key, text in mlflow_runs.short(record.words).items()]
    client.log_batch(run.info.run_id, metrics=metrics, tags=tags)
    _dataset(client, run, record)
    client.set_terminated(run.info.run_id, now, ended)
    return len(metrics)


def _dataset(client: MlflowClient, run: Run, record: Record) -> None:
    """Name the images that the result was measured on; the digest is that of their pixels."""
    data = record.result.get("data")
    if isinstance(data, dict) and {"name", "pixels"} <= data.keys():
        source = str(data.get("source", data["name"]))
        images = Dataset(
            str(data["name"])[:500], str(data["pixels"])[:36], "local", source, profile=json.dumps(data, default=str)
        )
        used = InputTag("mlflow.data.context", "train+test")
        client.log_inputs(run.info.run_id, [DatasetInput(images, [used])])


def _files(client: MlflowClient, run: Run, record: Record) -> None:
    """Log the files as artifacts: when the run begins and each time it ends."""
    mark = str(record.ended or record.started)
    if run.data.tags.get(FILES) == mark:
        return
    arm, seed = record.folder.parent, record.folder
    journals = [attempt.folder(seed, number) / JOURNAL for number in attempt.numbers(seed)]
    for file in (arm / CONFIG, *sorted(arm.glob("provenance*.json")), *journals, seed / RESULT):
        if file.exists():
            client.log_artifact(run.info.run_id, str(file), file.parent.name if file in journals else None)
    client.set_tag(run.info.run_id, FILES, mark)
