"""Runs from MLflow as tidy data frames. Only the tracker is asked: run folders may be gone.

In a notebook:

    from results.read import curves, runs

    frame = runs("sqlite:///results/mlflow.db", sweep="tricks")        # one row a trial: an arm and a seed
    frame.groupby("name")["test_acc"].agg(["mean", "std", "count"])    # percent, last epoch, finished seeds
    frame[frame["param.optim.lr"] == "0.05"]   # parameters are text; those that no run changes have no column
    curves("sqlite:///results/mlflow.db", frame, ["train_loss", "test_acc"])  # one row an epoch
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pandas as pd

from ablation.errors import ConfigError
from results.trackers.frame import Source, paths, tidy
from results.trackers.sqlite import opened, snapshot

_SQLITE = "sqlite:///"


def runs(uri: str, ids: Collection[str] | None = None, sweep: str | None = None) -> pd.DataFrame:
    """Trials of a tracker, all of them or those of some ids or of a sweep, sorted by id and seed.

    One row per (id, seed): of several trainings the one that began last and is not superseded. A trial belongs to
    the sweep that its runs were recorded in and to all that asked for it (`sweeps`). Columns:

    - `id seed name sweep sweeps status run_id started command commit cause device precision torch`: `started` is ms
      since 1970, `name` is the arm's; text that is not known is "";
    - `data.name`, `data.train`, ...: which images, in words, "" until the trial is finished;
    - `group.data`, `group.aug`, ...: what was chosen, such as "cutout+mixup", "none";
    - `param.optim.lr`, ...: parameters that differ from the defaults, as text; missing where they do not;
    - `test_acc`, `best_test_acc`, `epochs`, ...: the result's numbers, NaN unless the trial is finished.

    Args:
        uri: `sqlite:///results/mlflow.db`, or any other that MLflow knows. Nothing is made or changed there.
        ids: Of arms; none if empty.
        sweep: Its name.

    Raises:
        ConfigError: There is no tracker at the URI.
        AblationError: It cannot be read now.
    """
    with _source(uri) as source:
        found = source.runs(None if ids is None else set(ids), sweep)
    return tidy(found, sweep)


def curves(uri: str, frame: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """Metrics by epoch of the trials in a frame of `runs`: columns id, seed, epoch, and one a metric (NaN: not logged).

    Raises:
        ConfigError: There is no tracker at the URI.
    """
    with _source(uri) as source:
        points = source.points(list(frame["run_id"]), list(metrics))
    return paths(frame, points, metrics)


@contextmanager
def _source(uri: str) -> Iterator[Source]:
    """Whatever answers at the URI. A database of a layout that is not known is read by MLflow, from a copy."""
    if not uri.startswith(_SQLITE):
        with _tracker(uri) as tracker:
            yield tracker
        return
    file = Path(uri.removeprefix(_SQLITE).partition("?")[0]).absolute()
    if not file.is_file():
        raise ConfigError(f"{uri}: there is no file {file}; run something first, or name the tracker that has the runs")
    with opened(file) as database:
        if database.fits():
            yield database
            return
        with snapshot(database) as copy, _tracker(f"{_SQLITE}{copy}") as tracker:
            yield tracker


def _tracker(uri: str) -> AbstractContextManager[Source]:
    from results.trackers.client import asked  # takes more than a second: it imports MLflow

    return asked(uri)
