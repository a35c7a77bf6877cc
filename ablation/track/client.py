"""Reach an MLflow tracker. Importing this takes more than a second: it imports MLflow."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

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
        if not file.exists() or not file.stat().st_size:
            _create(file.resolve())
        with closing(sqlite3.connect(file, timeout=_PATIENCE)) as probe:
            probe.execute("BEGIN IMMEDIATE")  # MLflow would retry a locked file for minutes
        return _answering(f"{SQLITE}{file}")


def _create(file: Path) -> None:
    """Make the tables beside the place and put them there whole: half of them, left by who died, stay so for ever."""
    new = file.with_name(f".{file.name}.new")
    new.unlink(missing_ok=True)
    try:
        _answering(f"{SQLITE}{new}")
        os.replace(new, file)
    finally:
        new.unlink(missing_ok=True)


def _answering(uri: str) -> MlflowClient:
    client = MlflowClient(uri)
    client.search_experiments(max_results=1)
    return client
