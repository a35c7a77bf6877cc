"""Any tracker of MLflow, asked through its client: slower than its SQLite file, but servers have no other door."""

from __future__ import annotations

import socket
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from mlflow import MlflowClient
from mlflow.entities import Experiment
from mlflow.entities import Run as Recorded
from mlflow.exceptions import MlflowException

from ablation.errors import AblationError, ConfigError
from ablation.track.ready import reason
from ablation.track.server import without_password
from results.trackers.frame import RESULT, Point, RecordedRun

_PAGE = 5000  # runs
_FEW = 100  # ids: that many are asked for one by one, of more all runs are read
_PATIENCE = 10.0  # seconds for a server to take a connection
_AT_ONCE = 8  # requests


@contextmanager
def asked(uri: str) -> Iterator[Tracker]:
    """A tracker that answers.

    Raises:
        ConfigError: Nothing answers there.
        AblationError: It stops answering, or answers with an error.
    """
    _exists(uri)
    shown = without_password(uri, uri)
    try:
        tracker = Tracker(MlflowClient(uri))
    except Exception as error:  # of many kinds: MLflow's, the driver's of a database, the system's
        raise ConfigError(f"{shown} is no tracker of MLflow that can be read: {reason(uri, error)}") from error
    try:
        yield tracker
    except MlflowException as error:
        raise AblationError(f"{shown} cannot be read: {reason(uri, error)}") from error


class Tracker:
    """Reads through a client."""

    def __init__(self, client: MlflowClient) -> None:
        self.client = client
        self.experiments = [each.experiment_id for each in self._experiments()]

    def runs(self, ids: Collection[str] | None, sweep: str | None) -> list[RecordedRun]:
        """See `Source`."""
        if ids is None and sweep is not None:
            own = self._search(f"tags.`ablation.sweep` = {_quoted(sweep)}")
            shared = self._search(f"tags.`ablation.sweeps` LIKE {_quoted(f'%{sweep}%')}")
            ids = {run.tags["ablation.id"] for run in own + shared if "ablation.id" in run.tags}
        if ids is None or len(ids) > _FEW:
            found = self._search("tags.`ablation.id` LIKE '%'")
            return [run for run in found if ids is None or run.tags["ablation.id"] in ids]
        return [run for each in sorted(ids) for run in self._search(f"tags.`ablation.id` = {_quoted(each)}")]

    def points(self, run_ids: Sequence[str], metrics: Sequence[str]) -> list[Point]:
        """See `Source`."""
        pairs = [(run, metric) for run in run_ids for metric in metrics]
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            histories = threads.map(lambda pair: self.client.get_metric_history(*pair), pairs)
            return [
                (run, metric, point.step, point.timestamp, point.value)
                for (run, metric), history in zip(pairs, histories, strict=True)
                for point in history
            ]

    def _experiments(self) -> Iterator[Experiment]:
        token = None
        while True:
            page = self.client.search_experiments(max_results=_PAGE, page_token=token)
            yield from page
            token = page.token
            if not token:
                return

    def _search(self, query: str) -> list[RecordedRun]:
        found: dict[str, RecordedRun] = {}  # by id: a run that comes while pages are read shifts them
        token = None
        while self.experiments:
            page = self.client.search_runs(self.experiments, query, max_results=_PAGE, page_token=token)
            found |= {run.info.run_id: _run(run) for run in page}
            token = page.token
            if not token:
                break
        return list(found.values())


def _run(run: Recorded) -> RecordedRun:
    info, data = run.info, run.data
    result = {key.removeprefix(RESULT): value for key, value in data.metrics.items() if key.startswith(RESULT)}
    return RecordedRun(
        info.run_id, info.run_name or "", info.status, info.start_time or 0, data.tags, data.params, result
    )


def _quoted(text: str) -> str:
    quote = '"' if "'" in text else "'"
    return f"{quote}{text}{quote}"


def _exists(uri: str) -> None:
    """Refuse what MLflow would create, and what it would knock at for minutes."""
    parts = urlsplit(uri)
    if parts.scheme in ("http", "https"):
        address = (parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))
        try:
            socket.create_connection(address, _PATIENCE).close()
        except OSError as error:
            shown = without_password(uri, uri)
            raise ConfigError(f"{shown} does not answer: {error}; start the server, or name another tracker") from error
    memory = parts.scheme.startswith("sqlite") and not uri.startswith("sqlite:///")
    if memory or (parts.scheme in ("", "file") and uri != "databricks" and not Path(parts.path).is_dir()):
        raise ConfigError(f"{uri} is no tracker; name one, such as sqlite:///results/mlflow.db or http://HOST:5000")
