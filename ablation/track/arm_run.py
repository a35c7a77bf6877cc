"""The run of an arm in MLflow: mean and standard deviation over its seeds, above the runs of its trials.

All of it is computed from the trials' runs, so it is right after any order of uploads, and doing it again changes
nothing. Whoever calls `bring` holds the arm's lock.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from statistics import fmean, stdev

from mlflow import MlflowClient
from mlflow.entities import Metric, Run, RunTag

from ablation.track import mlflow_runs
from ablation.track.mlflow_runs import PARENT, Family
from ablation.track.trial_files import Record

_CURVES = "ablation.curves"  # of which trials the mean by epoch is logged
_MIXED = "ablation.mixed"  # why there is no mean
_METRICS = ("test_acc", "test_loss", "train_acc", "train_loss", "val_acc")  # that have a mean by epoch
_ONE = ("ablation.data.pixels", "ablation.data.test", "ablation.precision")  # must be one in all trials
_FIRST = "result/test_acc"  # MLflow's pages draw what was logged first
_SETTING = ("epochs", "steps", "batch_size", "lr", "weight_mib")  # what is the same in all trials
_OWN = {f"result/{key}" for key in ("attempt", "attempts", "seed", "fused", "best_epoch", *_SETTING)}  # have no mean
_ORDER = ("FAILED", "KILLED", "FINISHED")  # the worst of the trials' ends is the arm's
_POINTS = 900  # in a request


@dataclass(frozen=True)
class _Arm:
    """What the run of an arm should say."""

    trials: list[Run]  # that count
    mixed: str  # what the trials differ in that a mean must not cover
    status: str
    ended: int | None  # ms since 1970
    results: dict[str, float]

    @property
    def curves(self) -> str:
        """Which trials a mean by epoch is over; empty while there should be none."""
        ids = ",".join(run.info.run_id for run in self.trials)
        return sha256(ids.encode()).hexdigest()[:16] if self.status == "FINISHED" and not self.mixed else ""


def due(known: Family, record: Record) -> bool:
    """Whether the run of the arm does not say what it should."""
    if len(known.arms) != 1 or _strangers(known, known.arms[0]):
        return True
    (run,), arm = known.arms, _arm(known, record)
    tags = mlflow_runs.short({**record.arm_tags, **_tags(run, arm)})
    return bool(
        run.info.run_name != _name(record)
        or _status(run, arm)
        or _news(run, arm)
        or (arm.curves and run.data.tags.get(_CURVES) != arm.curves)
        or {key: run.data.tags.get(key) for key in tags} != tags
    )


def bring(client: MlflowClient, known: Family, record: Record) -> None:
    """Make the run of the arm say what it should; `known` has just been asked of the tracker."""
    arm = _arm(known, record)
    runs = known.arms
    if runs and arm.curves and not runs[0].data.tags.get(_CURVES, arm.curves).startswith(arm.curves):
        mlflow_runs.delete(client, runs)  # points of other trials' curves cannot be taken back
        runs = []
    mlflow_runs.delete(client, runs[1:])
    run = runs[0] if runs else _create(client, known, record)
    for trial in _strangers(known, run):
        client.set_tag(trial.info.run_id, PARENT, run.info.run_id)
    if news := _news(run, arm):
        now = round(1000 * time.time())
        client.log_batch(run.info.run_id, metrics=[Metric(key, value, now, 0) for key, value in news.items()])
    if arm.curves and run.data.tags.get(_CURVES) != arm.curves:
        if (images := arm.trials[0].inputs) is not None and images.dataset_inputs:
            client.log_inputs(run.info.run_id, images.dataset_inputs)
        _log_curves(client, run, arm)
    mlflow_runs.describe(client, run, {**record.arm_tags, **_tags(run, arm)}, record.params)
    if run.info.run_name != _name(record):
        client.update_run(run.info.run_id, name=_name(record))
    if _status(run, arm):
        if arm.ended is None:
            client.update_run(run.info.run_id, status=arm.status)
        else:
            client.set_terminated(run.info.run_id, arm.status, arm.ended)


def _status(run: Run, arm: _Arm) -> bool:
    """Whether the status is to be set. An end cannot be taken back, and means nothing while a run is running."""
    return bool(run.info.status != arm.status or (arm.ended is not None and run.info.end_time != arm.ended))


def _create(client: MlflowClient, known: Family, record: Record) -> Run:
    began = min(run.info.start_time for run in known.trials)
    return client.create_run(known.experiment, began, mlflow_runs.short(record.arm_tags), _name(record))


def _name(record: Record) -> str:
    return record.title[:230]


def _strangers(known: Family, arm: Run) -> list[Run]:
    """Trials that do not lie below the run of the arm."""
    return [run for run in known.trials if run.data.tags.get(PARENT) != arm.info.run_id]


def _arm(known: Family, record: Record) -> _Arm:
    trials = known.counting
    finished = [run for run in trials if run.info.status == "FINISHED"]
    ended = {run.info.status for run in trials}
    lacking = record.seeds - {run.data.tags.get("ablation.seed") for run in trials}
    over = ended <= set(_ORDER) and not any(record.expected(record.arm["id"], int(seed)) for seed in lacking)
    worst = {*ended, "KILLED"} if lacking else ended  # by whoever did not begin what was asked for
    mixed = _mixed(finished)
    return _Arm(
        trials,
        mixed,
        next(status for status in _ORDER if status in worst) if over and ended else "RUNNING",
        max((run.info.end_time or 0 for run in trials), default=0) if over and ended else None,
        _results(finished, mixed),
    )


def _mixed(finished: list[Run]) -> str:
    """Of what there is more than one among these trials."""
    found = {tag.removeprefix("ablation."): {run.data.tags.get(tag, "") for run in finished} for tag in _ONE}
    found["epochs"] = {f"{run.data.metrics.get('result/epochs', 0):g}" for run in finished}
    return "; ".join(f"{key}: {', '.join(sorted(values))}" for key, values in found.items() if len(values) > 1)


def _results(finished: list[Run], mixed: str) -> dict[str, float]:
    """Means of what all of these trials have, the standard deviation of accuracies, and how many trials they are."""
    if not finished:
        return {}
    shared = {key for key in finished[0].data.metrics if key.startswith("result/")} - _OWN
    shared.intersection_update(*(run.data.metrics for run in finished))
    results = {}
    for key in sorted(shared, key=lambda key: (key != _FIRST, key)):
        values = [run.data.metrics[key] for run in finished]
        results[key] = math.nan if mixed else _tidy(fmean(values), 10)
        if key.endswith("_acc") and len(values) > 1:
            results[f"{key}_std"] = math.nan if mixed else _tidy(stdev(values), 4)
    return {**results, "result/n": float(len(finished))}


def _tidy(value: float, digits: int) -> float:
    """With so many digits. MLflow's pages show all there are: 57.48999999999999 for 57.49."""
    return float(f"{value:.{digits}g}")


def _tags(run: Run, arm: _Arm) -> dict[str, str]:
    return {_MIXED: arm.mixed} if arm.mixed or _MIXED in run.data.tags else {}


def _news(run: Run, arm: _Arm) -> dict[str, float]:
    """The results that the run does not have, or has otherwise; those that no longer hold become NaN."""
    has = run.data.metrics
    void = {key: 0.0 if key == "result/n" else math.nan for key in has if key.startswith("result/")}
    wanted = {**void, **arm.results}
    return {key: value for key, value in wanted.items() if key not in has or not _same(has[key], value)}


def _same(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other))


def _log_curves(client: MlflowClient, run: Run, arm: _Arm) -> None:
    """Log the means by epoch. Every request says of which trials they are, so that others' are never mixed in."""
    points = [point for key in _METRICS for point in _mean(client, arm.trials, key)]
    for i in range(0, len(points) or 1, _POINTS):
        over = "" if i + _POINTS >= len(points) else " begun"
        tags = [RunTag(_CURVES, f"{arm.curves}{over}")]
        client.log_batch(run.info.run_id, metrics=points[i : i + _POINTS], tags=tags)


def _mean(client: MlflowClient, trials: list[Run], key: str) -> Iterator[Metric]:
    """The mean at every epoch that all trials have, stamped with the time of the last; nothing if one lacks the key."""
    if not all(key in run.data.metrics for run in trials):
        return
    paths = [{m.step: m for m in client.get_metric_history(run.info.run_id, key)} for run in trials]
    for step in sorted(set.intersection(*(set(path) for path in paths))):
        at = [path[step] for path in paths]
        yield Metric(key, fmean(m.value for m in at), max(m.timestamp for m in at), step)
