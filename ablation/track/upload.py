"""Bring one trial's files to MLflow. Doing it again, after a crash at any point or in two processes, changes nothing.

What the tracker has is known from the tracker: the tag `ablation.uploaded_epoch` travels in one request with
the points, and points keep the time of their journal, so that points sent again are the same rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException

from ablation import attempt
from ablation.journal import JOURNAL, Event
from ablation.result import RESULT
from ablation.track.client import database
from ablation.track.record import Record, load, numbers, stamp

STARTED = "ablation.started"  # ms since 1970: of two trainings of one trial, the folder of one was moved away
SUPERSEDED = "ablation.superseded_by"  # the run of a later training
EPOCH = "ablation.uploaded_epoch"
FILES = "ablation.uploaded_files"
FAILURE = {"ablation.cause", "ablation.message"}
_POINTS = 900  # in a request: MLflow takes 1000 entries of all kinds
_VALUE = 6000  # characters that MLflow keeps of a parameter
_TAG = 5000
_PATIENCE = 60.0  # seconds to wait for another process that uploads the same trial


def upload(client: MlflowClient, folder: Path) -> int:
    """Upload what is new in a seed folder: how many points that was.

    Raises:
        Exception: of many kinds if the tracker or the folder cannot be used; call again later.
    """
    with FileLock(folder / ".upload.lock", timeout=_PATIENCE):
        record = load(folder)
        if not record.events:
            return 0
        run = _run(client, record)
        _describe(client, run, record)
        points = _epochs(client, run, record) + _state(client, run, record)
        _files(client, run, record)  # last: a broken artifact store must not hold back the numbers
        return points


def _run(client: MlflowClient, record: Record) -> Run:
    """The run of this training of the trial, made if there is none; those of earlier trainings are marked.

    A run from before there was the tag is taken for this training's.
    """
    experiment = _experiment(client, record.arm["sweep"])
    query = f"tags.`ablation.id` = '{record.arm['id']}' and tags.`ablation.seed` = '{record.seed}'"
    known = client.search_runs([experiment], query)
    own = (run for run in known if _started(run, record) == record.started)
    found = sorted(own, key=lambda run: (-_uploaded(run), run.info.run_id))
    for ghost in found[1:]:  # a create that timed out may have been carried out all the same
        client.delete_run(ghost.info.run_id)
    tags = {key: value[:_TAG] for key, value in record.tags.items()}
    run = found[0] if found else client.create_run(experiment, record.started, tags, record.name)
    if STARTED not in run.data.tags:
        client.set_tag(run.info.run_id, STARTED, record.tags[STARTED])
    for old in known:
        if _started(old, record) < record.started and SUPERSEDED not in old.data.tags:
            _supersede(client, old, run)
    return run


def _supersede(client: MlflowClient, old: Run, new: Run) -> None:
    """Keep a run of an earlier training, told apart from the one that counts."""
    status = "KILLED" if old.info.status == "RUNNING" else None
    client.update_run(old.info.run_id, status, f"{new.info.run_name} (superseded)")
    client.set_tag(old.info.run_id, SUPERSEDED, new.info.run_id)


def _experiment(client: MlflowClient, name: str) -> str:
    """The id of the experiment, made if there is none; artifacts of a local database lie beside it."""
    found = client.get_experiment_by_name(name)
    if found is None:
        file = database(client.tracking_uri)
        try:
            return str(client.create_experiment(name, (file.parent / "mlartifacts").as_uri() if file else None))
        except MlflowException:  # another process was faster
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    return str(found.experiment_id)


def _started(run: Run, record: Record) -> int:
    return int(run.data.tags.get(STARTED, record.started))


def _uploaded(run: Run) -> int:
    return int(run.data.tags.get(EPOCH, -1))


def _describe(client: MlflowClient, run: Run, record: Record) -> None:
    """Log the parameters that the run lacks; those it has cannot be changed."""
    params = {re.sub(r"[^\w.\-/ ]", "_", key)[:250]: str(value) for key, value in record.arm["params"].items()}
    missing = [Param(key, text[:_VALUE]) for key, text in params.items() if key not in run.data.params]
    client.log_batch(run.info.run_id, params=missing)


def _epochs(client: MlflowClient, run: Run, record: Record) -> int:
    """Log the epochs that the run lacks; returns the number of points."""
    points = 0
    for batch in _batches([e for e in record.epochs if e["epoch"] > _uploaded(run)]):
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
    metrics = _metrics(final, record.last, int(record.result.get("epochs", 0)))
    tags = [RunTag(key, text[:_TAG]) for key, text in record.words.items()]
    client.log_batch(run.info.run_id, metrics=metrics, tags=tags)
    _dataset(client, run, record)
    client.set_terminated(run.info.run_id, now, ended)
    return len(metrics)


def _dataset(client: MlflowClient, run: Run, record: Record) -> None:
    """Name the images that the result was measured on; the digest is that of their pixels."""
    data = record.result.get("data")
    if isinstance(data, dict) and {"name", "pixels"} <= data.keys():
        images = Dataset(
            str(data["name"])[:500], str(data["pixels"])[:36], "local", str(data.get("source", data["name"]))
        )
        client.log_inputs(run.info.run_id, [DatasetInput(images, [])])


def _files(client: MlflowClient, run: Run, record: Record) -> None:
    """Log the files as artifacts: when the run begins and each time it ends."""
    mark = str(record.ended or record.started)
    if run.data.tags.get(FILES) == mark:
        return
    arm, seed = record.folder.parent, record.folder
    journals = [attempt.folder(seed, number) / JOURNAL for number in attempt.numbers(seed)]
    for file in (arm / "config.yaml", *sorted(arm.glob("provenance*.json")), *journals, seed / RESULT):
        if file.exists():
            client.log_artifact(run.info.run_id, str(file), file.parent.name if file in journals else None)
    client.set_tag(run.info.run_id, FILES, mark)
