"""MLflow's SQLite file, read without MLflow: ten times faster, and it can neither create nor migrate anything."""

from __future__ import annotations

import json
import math
import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from ablation.errors import AblationError, ConfigError
from results.trackers.frame import COMMIT, RESULT, Point, RecordedRun

_PATIENCE = 60.0  # seconds to wait for a writer
_LAYOUT = {
    "experiments": {"experiment_id", "lifecycle_stage"},
    "runs": {"run_uuid", "name", "status", "start_time", "lifecycle_stage", "experiment_id"},
    "tags": {"run_uuid", "key", "value"},
    "params": {"run_uuid", "key", "value"},
    "metrics": {"run_uuid", "key", "step", "timestamp", "value", "is_nan"},
    "latest_metrics": {"run_uuid", "key", "value", "is_nan"},
}
_ALL = "SELECT run_uuid FROM tags WHERE key = 'ablation.id'"
_SOME = f"{_ALL} AND value IN (SELECT value FROM json_each(?))"
_SWEEP = f"""{_ALL} AND value IN (SELECT value FROM tags WHERE key = 'ablation.id' AND run_uuid IN (
    SELECT run_uuid FROM tags WHERE key = 'ablation.sweep' AND value = ?1
    OR key = 'ablation.sweeps' AND instr(value, ?1)))"""


class Database:
    """An open file; all that is read is of one moment."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.tables = {table: self._columns(table) for table in _LAYOUT}

    def fits(self) -> bool:
        """Whether the tables have all that is read here."""
        return all(columns <= self.tables[table] for table, columns in _LAYOUT.items())

    def _columns(self, table: str) -> set[str]:
        return {row[1] for row in self.connection.execute(f"PRAGMA table_info({table})")}

    def runs(self, ids: Collection[str] | None, sweep: str | None) -> list[RecordedRun]:
        """See `Source`."""
        if ids is not None:
            return self._runs(_SOME, (json.dumps(sorted(ids)),))
        return self._runs(_ALL, ()) if sweep is None else self._runs(_SWEEP, (sweep,))

    def _runs(self, chosen: str, values: tuple[str, ...]) -> list[RecordedRun]:
        where = f"run_uuid IN ({chosen})"
        rows = self.connection.execute(
            f"""SELECT run_uuid, name, status, start_time FROM runs WHERE lifecycle_stage = 'active' AND {where}
            AND experiment_id IN (SELECT experiment_id FROM experiments WHERE lifecycle_stage = 'active')""",
            values,
        ).fetchall()
        tags = self._pairs(
            f"SELECT run_uuid, key, value FROM tags WHERE {where} AND (key NOT LIKE 'mlflow.%' OR key = '{COMMIT}')",
            values,
        )
        params = self._pairs(f"SELECT run_uuid, key, value FROM params WHERE {where}", values)
        result = self._pairs(
            f"""SELECT run_uuid, substr(key, {len(RESULT) + 1}), CASE WHEN is_nan THEN NULL ELSE value END
            FROM latest_metrics WHERE {where} AND substr(key, 1, {len(RESULT)}) = '{RESULT}'""",
            values,
        )
        return [
            RecordedRun(
                run, name or "", status, start or 0, _text(tags[run]), _text(params[run]), _numbers(result[run])
            )
            for run, name, status, start in rows
        ]

    def _pairs(self, query: str, values: tuple[str, ...]) -> dict[str, dict[str, object]]:
        found: dict[str, dict[str, object]] = defaultdict(dict)
        for run, key, value in self.connection.execute(query, values):
            found[run][key] = value
        return found

    def points(self, run_ids: Sequence[str], metrics: Sequence[str]) -> list[Point]:
        """See `Source`."""
        rows = self.connection.execute(
            """SELECT run_uuid, key, step, timestamp, CASE WHEN is_nan THEN NULL ELSE value END FROM metrics
            WHERE run_uuid IN (SELECT value FROM json_each(?)) AND key IN (SELECT value FROM json_each(?))""",
            (json.dumps(run_ids), json.dumps(metrics)),
        )
        return [(run, key, step, time, math.nan if value is None else value) for run, key, step, time, value in rows]


def _text(values: dict[str, object]) -> dict[str, str]:
    return {key: value if isinstance(value, str) else "" for key, value in values.items()}


def _numbers(values: dict[str, object]) -> dict[str, float]:
    return {key: value if isinstance(value, float) else math.nan for key, value in values.items()}


@contextmanager
def opened(file: Path) -> Iterator[Database]:
    """Open a file for reading.

    Not as `mode=ro`: after a power cut nobody could read the file before somebody writes to it.

    Raises:
        ConfigError: It is no database of MLflow.
        AblationError: It cannot be read now.
    """
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=rw", uri=True, timeout=_PATIENCE)) as connection:
            connection.execute("PRAGMA query_only = ON")
            connection.execute("BEGIN")
            database = Database(connection)
            if not database.tables["runs"]:
                raise ConfigError(f"{file} is no database of MLflow: it has no table of runs; name another tracker")
            yield database
    except sqlite3.OperationalError as error:
        raise AblationError(f"{file} cannot be read: {error}; it may be locked, or its disk full or gone") from error
    except sqlite3.DatabaseError as error:
        raise ConfigError(f"{file} is no database of MLflow: {error}; name another tracker") from error


@contextmanager
def snapshot(database: Database) -> Iterator[Path]:
    """A copy of the file for programs that would change it."""
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "mlflow.db"
        with closing(sqlite3.connect(copy)) as target:
            database.connection.backup(target)
        yield copy
