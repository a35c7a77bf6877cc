"""Show a report in MLflow: its page and pictures as artifacts of one run a table, replaced each time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from ablation.errors import ConfigError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

KIND = "ablation.kind"  # of a run that is no trial
TABLE = "ablation.table"


def publish(uri: str, experiment: str, table: str, files: Iterable[Path]) -> str:
    """Bring the files to the table's run of kind `report` in an experiment; what it had before is gone.

    Returns:
        The run's id.

    Raises:
        ConfigError: there is no such experiment.
    """
    from ablation.track.client import connect  # takes more than a second: it imports MLflow
    from ablation.track.server import without_password

    client = connect(uri)
    found = client.get_experiment_by_name(experiment)
    if found is None:
        shown = without_password(uri, uri)
        way = "bring its runs there first, with `ablation sync`"
        raise ConfigError(f"{shown} has no experiment {experiment} to show a report in; {way}")
    run = _run(client, str(found.experiment_id), table)
    _clear(client, run, uri)
    for file in files:
        client.log_artifact(run.info.run_id, str(file))
    client.set_terminated(run.info.run_id)
    return str(run.info.run_id)


def home(runs: pd.DataFrame) -> str:
    """The experiment that most of these runs are recorded in, of the frame of `results.read.runs`.

    Raises:
        ConfigError: there are no runs.
    """
    names = Counter(runs["sweep"])
    if not names:
        raise ConfigError(
            "hydra.launcher.publish=true: none of these arms is recorded, so that there is no experiment to show a "
            "report in; run them first, or leave it out"
        )
    return str(min(names, key=lambda name: (-names[name], name)))


def _run(client: MlflowClient, experiment: str, table: str) -> Run:
    """The table's run, made if there is none; of several, which two writers made at once, one stays."""
    reports: Sequence[Run] = client.search_runs([experiment], f"tags.`{KIND}` = 'report'", max_results=1000)
    own = sorted((r for r in reports if r.data.tags.get(TABLE) == table), key=lambda run: str(run.info.run_id))
    for ghost in own[1:]:
        client.delete_run(ghost.info.run_id)
    return (
        own[0]
        if own
        else client.create_run(experiment, tags={KIND: "report", TABLE: table}, run_name=f"report {table}")
    )


def _clear(client: MlflowClient, run: Run, uri: str) -> None:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    for artifact in client.list_artifacts(run.info.run_id):
        kept = get_artifact_repository(run.info.artifact_uri, tracking_uri=uri)
        kept.delete_artifacts(artifact.path)  # type: ignore[no-untyped-call]
