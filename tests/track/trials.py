"""Run folders as the core writes them, and what a tracker then holds of them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from ablation.store.attempt import folder as attempt_folder
from ablation.store.attempt import latest
from ablation.store.journal import JOURNAL, Journal

# MLflow still uses what SQLAlchemy 2.1 deprecates.
mlflow_warns = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated:DeprecationWarning")

CHOSEN = {"aug": "cutout+mixup", "model": "resnet20", "regularizer": "none"}
METRICS = ("train_loss", "train_acc", "test_acc", "lr")


def trial(out: Path, seed: int = 0, arm: str = "00deadbeef00cafe", **arm_values: Any) -> Path:
    """The seed folder of a new trial, without a journal."""
    folder = out / arm / f"seed-{seed}"
    folder.mkdir(parents=True)
    described = {
        "id": arm,
        "name": "aug=cutout+mixup",
        "sweep": "main",
        "groups": CHOSEN,
        "params": {"optim.lr": 0.2, "epochs": 5},
        "overrides": ["aug=[cutout,mixup]"],
        "command": "python launch/run.py 'aug=[cutout,mixup]'",
    }
    (folder.parent / "arm.json").write_text(json.dumps({**described, **arm_values}))
    (folder.parent / "config.yaml").write_text("epochs: 5\n")
    (folder.parent / "provenance.json").write_text('{"commit": "0123abc", "packages": {}}')
    return folder


def value(metric: str, epoch: int, shift: float = 0.0) -> float:
    """What the fake training measures."""
    return METRICS.index(metric) + epoch / 7 + shift


class Training:
    """Writes the journal of a new attempt: eleven steps an epoch; `shift` is added to what it measures."""

    def __init__(self, folder: Path, after: int = 0, shift: float = 0.0) -> None:
        self.shift = shift
        self.folder, self.now, self.number = folder, after, latest(folder) + 1
        self.journal = Journal(attempt_folder(folder, self.number) / JOURNAL)
        self.journal.write("start", attempt=self.number, step=11 * after)

    def epochs(self, number: int, save: bool = True) -> Training:
        """Train so many epochs, each with a checkpoint or none with one."""
        for _ in range(number):
            self.now += 1
            metrics = {name: value(name, self.now, self.shift) for name in METRICS}
            self.journal.write("epoch", epoch=self.now, step=11 * self.now, metrics={**metrics, "val_acc": None})
            if save:
                self.journal.write("saved", step=11 * self.now)
        return self

    def end(self, event: str = "done", **values: Any) -> None:
        """The last words; a trial that is done has its result beside the journal."""
        if event == "done":
            result = {
                "test_acc": value("test_acc", self.now, self.shift),
                "best_test_acc": 99.5,
                "epochs": self.now,
                "attempts": 2,
            }
            result["attempt"] = self.number
            images = {"name": "digits", "pixels": "abc123"}
            text = json.dumps({**result, "device": "cpu", "val_acc": None, "data": images})
            (self.folder / "result.json").write_text(text)
        self.journal.write(event, **values)
        self.journal.close()


def every(client: MlflowClient, sweep: str = "main") -> list[Run]:
    """All active runs of an experiment, those of arms as well."""
    experiment = client.get_experiment_by_name(sweep)
    return [] if experiment is None else list(client.search_runs([experiment.experiment_id]))


def runs(client: MlflowClient, sweep: str = "main") -> list[Run]:
    """All active runs of trials in an experiment."""
    return [run for run in every(client, sweep) if run.data.tags.get("ablation.kind") != "arm"]


def arms(client: MlflowClient, sweep: str = "main") -> list[Run]:
    """All active runs of arms in an experiment."""
    return [run for run in every(client, sweep) if run.data.tags.get("ablation.kind") == "arm"]


def the_run(client: MlflowClient, sweep: str = "main") -> Run:
    """The only run there is."""
    (run,) = runs(client, sweep)
    return run


def assert_each_point_once(
    client: MlflowClient, run: Run, epochs: Iterable[int], shift: float = 0.0, metrics: Sequence[str] = METRICS
) -> None:
    """Every metric has exactly one value at each epoch, the right one, and none elsewhere."""
    for name in metrics:
        history = client.get_metric_history(run.info.run_id, name)
        points = sorted((m.step, m.value) for m in history)
        assert points == [(epoch, pytest.approx(value(name, epoch, shift))) for epoch in epochs], name


def wait_for(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Until the condition holds; fails after so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
