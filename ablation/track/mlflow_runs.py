"""The runs of one arm in MLflow: its trials, and above them the run of the arm itself."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mlflow import MlflowClient
from mlflow.entities import Param, Run, RunTag
from mlflow.exceptions import MlflowException

from ablation.track.ready import database

KIND = "ablation.kind"  # arm or trial; trials from before there were runs of arms have none
SUPERSEDED = "ablation.superseded_by"  # the run of a later training
PARENT = "mlflow.parentRunId"  # by which MLflow's pages nest runs
EPOCH = "ablation.uploaded_epoch"
_VALUE = 6000  # characters that MLflow keeps of a parameter
_TAG = 5000


@dataclass(frozen=True)
class Family:
    """What an experiment has of one arm."""

    experiment: str
    runs: tuple[Run, ...]

    @property
    def arms(self) -> list[Run]:
        """The runs of the arm itself; the first counts, others are left from a create that timed out."""
        found = [run for run in self.runs if run.data.tags.get(KIND) == "arm"]
        return sorted(found, key=lambda run: (run.info.start_time, run.info.run_id))

    @property
    def trials(self) -> list[Run]:
        """All trainings of all seeds."""
        return [run for run in self.runs if run.data.tags.get(KIND) != "arm"]

    @property
    def counting(self) -> list[Run]:
        """One run a seed, by run id: the newest training, and of its copies the longest."""
        best: dict[str, Run] = {}
        for run in sorted(self.trials, key=_age):
            if SUPERSEDED not in run.data.tags:
                best[run.data.tags.get("ablation.seed", "")] = run
        return sorted(best.values(), key=lambda run: str(run.info.run_id))


def uploaded(run: Run) -> int:
    """The epoch up to which all is uploaded, -1 if there is none."""
    return int(run.data.tags.get(EPOCH, -1))


def _age(run: Run) -> tuple[int, int]:
    return int(run.data.tags.get("ablation.started", 0)), uploaded(run)


def experiment(client: MlflowClient, name: str) -> str:
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


def look(client: MlflowClient, where: str, id_: str) -> Family:
    """Ask the tracker."""
    return Family(where, tuple(client.search_runs([where], f"tags.`ablation.id` = '{id_}'")))


def describe(client: MlflowClient, run: Run, tags: Mapping[str, str], params: Mapping[str, str]) -> None:
    """Log the tags that differ, and the parameters that the run lacks; those it has cannot be changed."""
    clean = {re.sub(r"[^\w.\-/ ]", "_", key)[:250]: value[:_VALUE] for key, value in params.items()}
    lacking = [Param(key, text) for key, text in clean.items() if key not in run.data.params]
    differing = [RunTag(key, text) for key, text in short(tags).items() if run.data.tags.get(key) != text]
    if lacking or differing:
        client.log_batch(run.info.run_id, params=lacking, tags=differing)


def short(tags: Mapping[str, str]) -> dict[str, str]:
    """No longer than MLflow keeps."""
    return {key: text[:_TAG] for key, text in tags.items()}


def delete(client: MlflowClient, runs: Iterable[Run]) -> None:
    """Remove runs."""
    for run in runs:
        client.delete_run(run.info.run_id)
