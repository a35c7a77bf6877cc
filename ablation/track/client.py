"""Reach an MLflow tracker. Importing this takes more than a second: it imports MLflow."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from filelock import FileLock
from mlflow import MlflowClient

from ablation.track.ready import SQLITE, database

_PATIENCE = 10.0  # seconds to wait for a locked database
_MIGRATION = 120.0  # seconds to wait for another process to make the database's tables


def connect(uri: str) -> MlflowClient:
    """A client whose tracker has answered. The file and folder of an SQLite database are made as needed.

    Raises:
        Exception: of many kinds (MLflow's, SQLite's, the system's) if the tracker cannot be reached.
    """
    file = database(uri)
    if file is None:
        return _answering(uri)
    file.parent.mkdir(parents=True, exist_ok=True)
    # Two processes that make the tables at once break the database, so each opens it alone.
    with FileLock(f"{file}.lock", timeout=_MIGRATION):
        with closing(sqlite3.connect(file, timeout=_PATIENCE)) as probe:
            probe.execute("BEGIN IMMEDIATE")  # MLflow would retry a locked file for minutes
        return _answering(f"{SQLITE}{file}")


def _answering(uri: str) -> MlflowClient:
    client = MlflowClient(uri)
    client.search_experiments(max_results=1)
    return client
