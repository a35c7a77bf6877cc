"""A tracker's database is whole or not there: a process may die while it makes the tables."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from ablation.track.client import connect
from tests.track.trials import mlflow_warns

CONNECT = "import sys; from ablation.track.client import connect; connect(sys.argv[1])"


@mlflow_warns
@pytest.mark.parametrize("size", [1, 100_000])
def test_a_process_that_dies_while_it_makes_the_tables_leaves_none(tmp_path: Path, size: int) -> None:
    """MLflow never goes on with tables that are half made: "table _alembic_tmp_experiments already exists"."""
    file = tmp_path / "runs" / "mlflow.db"
    with subprocess.Popen([sys.executable, "-c", CONNECT, f"sqlite:///{file}"]) as child:
        while written(file.parent) < size:
            time.sleep(0.001)
            assert child.poll() is None, "it was killed too late"
        child.kill()
    client = connect(f"sqlite:///{file}")
    assert [experiment.name for experiment in client.search_experiments()] == ["Default"]
    assert sorted(path.name for path in file.parent.iterdir()) == ["mlflow.db", "mlflow.db.lock"]


def written(folder: Path) -> int:
    """Bytes of the database, wherever it is made."""
    return sum(path.stat().st_size for path in folder.glob("*mlflow.db*") if not path.name.endswith("journal"))
