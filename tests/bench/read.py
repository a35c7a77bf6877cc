"""How long it takes to read many runs from SQLite: `results.read.runs`, and `mlflow.search_runs`, which does as much.

    python tests/bench/read.py [--runs 10000] [--epochs 10] [--rounds 3]

The tables are MLflow's, filled by hand: 20 parameters, 25 tags and 25 results a run, and 6 metrics each epoch. MLflow's
client must give the same frame.
"""

from __future__ import annotations

import argparse
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import mlflow  # noqa: E402
import pandas as pd  # noqa: E402

from ablation.track.client import connect  # noqa: E402
from results.read import curves, runs  # noqa: E402
from results.trackers.client import Tracker  # noqa: E402
from results.trackers.frame import GROUPS, IMAGES, NUMBERS, tidy  # noqa: E402

SEEDS = 5


def main() -> None:
    """Fill, then time."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "mlflow.db"
        uri = f"sqlite:///{file}"
        connect(uri)
        fill(file, asked.runs, asked.epochs)
        print(f"{asked.runs} runs, {file.stat().st_size / 2**20:.0f} MiB")
        frame = runs(uri)
        assert len(frame) == asked.runs
        whole = timed("runs", lambda: runs(uri), asked.rounds)
        timed("runs of a sweep of 100", lambda: runs(uri, sweep="sweep-0"), asked.rounds)
        timed("runs of 20 ids", lambda: runs(uri, ids=set(frame["id"][:100])), asked.rounds)
        timed("curves of 100 runs, 2 metrics", lambda: curves(uri, frame[:100], ["metric-0", "metric-1"]), asked.rounds)
        mlflow.set_tracking_uri(uri)
        theirs = timed(
            "mlflow.search_runs",
            lambda: mlflow.search_runs(search_all_experiments=True, max_results=50_000),
            1,
        )
        client = timed(
            "runs through the client", lambda: tidy(Tracker(mlflow.MlflowClient(uri)).runs(None, None), None), 1
        )
        pd.testing.assert_frame_equal(frame, tidy(Tracker(mlflow.MlflowClient(uri)).runs(None, None), None))
        print(f"ratio to mlflow.search_runs: {whole / theirs:.2f}; of the client: {client / theirs:.2f}")


def timed(what: str, call: Callable[[], object], rounds: int) -> float:
    """The median of some calls in seconds, printed with the processor's, which others on the machine do not change."""
    seconds, busy = [], time.process_time()
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    spread = f"{min(seconds):.2f} to {max(seconds):.2f}"
    core = (time.process_time() - busy) / rounds
    print(f"{what}: median {statistics.median(seconds):.2f} s ({spread}), {core:.2f} s of a core", flush=True)
    return statistics.median(seconds)


def fill(file: Path, runs: int, epochs: int) -> None:
    """Runs as trials leave them, in sweeps of 100."""
    with closing(sqlite3.connect(file)) as base, base:
        base.executemany(
            """INSERT INTO runs (run_uuid, name, status, start_time, end_time, lifecycle_stage, experiment_id,
            artifact_uri, source_type, user_id) VALUES (?, ?, 'FINISHED', ?, ?, 'active', 0, '', 'LOCAL', '')""",
            ((f"{i:032x}", f"arm {i // SEEDS} seed={i % SEEDS}", 10**12 + i, 10**12 + i + 1) for i in range(runs)),
        )
        for table, cells in (("tags", tags), ("params", params)):
            rows = ((f"{i:032x}", *pair) for i in range(runs) for pair in cells(i))
            base.executemany(f"INSERT INTO {table} (run_uuid, key, value) VALUES (?, ?, ?)", rows)
        latest = ((f"{i:032x}", f"result/{key}", i % 100 + n) for i in range(runs) for n, key in enumerate(results()))
        base.executemany("INSERT INTO latest_metrics VALUES (?2, ?3, 0, 1, 0, ?1)", latest)
        points = (
            (f"{i:032x}", f"metric-{n}", step) for i in range(runs) for step in range(1, epochs + 1) for n in range(6)
        )
        base.executemany("INSERT INTO metrics VALUES (?2, 1.5, 0, ?1, ?3, 0)", points)


def tags(i: int) -> Iterator[tuple[str, str]]:
    """25 of them."""
    yield from (("ablation.id", f"f{i // SEEDS:015x}"), ("ablation.seed", f"{i % SEEDS}"))
    yield from (("ablation.sweep", f"sweep-{i // 100}"), ("ablation.started", f"{10**12 + i}"))
    yield from ((group, f"option-{i % 3}") for group in GROUPS)
    yield from ((f"ablation.data.{name}", f"words about {name}") for name in IMAGES)
    yield from ((f"ablation.{word}", word) for word in ("command", "device", "precision"))


def params(i: int) -> Iterator[tuple[str, str]]:
    """20 of 60 that there are."""
    return ((f"group.key-{(i * 7 + n) % 60}", f"{n}.5") for n in range(20))


def results() -> list[str]:
    """25 names."""
    return [*NUMBERS, *(f"other-{n}" for n in range(25 - len(NUMBERS)))]


if __name__ == "__main__":
    main()
