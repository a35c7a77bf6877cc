"""What a tracker says of runs, as data frames: which run of a trial counts, and what its columns are called."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import pandas as pd

GROUPS = ("data", "model", "init", "aug", "regularizer", "loss", "optim", "sched")
IMAGES = ("name", "train", "val", "test", "pixels", "norm", "view", "encoding", "constants", "split_seed")
WORDS = ("command", "cause", "device", "precision", "torch")
NUMBERS = (
    *("test_acc", "best_test_acc", "best_epoch", "test_loss", "train_acc", "train_loss", "val_acc", "raw_test_acc"),
    *("epochs", "steps", "batch_size", "params", "weight_mib", "peak_mem_mib", "images_per_s", "seconds"),
    *("attempt", "attempts", "fused"),
)
COMMIT = "mlflow.source.git.commit"
RESULT = "result/"
CODE = "code."  # digests of the code that was run, of each part of the configuration
Point = tuple[str, str, int, int, float]  # run id, metric, step, ms since 1970, value


@dataclass(frozen=True)
class RecordedRun:
    """A run as recorded."""

    run_id: str
    name: str
    status: str
    start: int  # ms since 1970
    tags: dict[str, str]
    params: dict[str, str]
    result: dict[str, float]  # the metrics result/..., without the prefix


class Source(Protocol):
    """Where runs are recorded."""

    def runs(self, ids: Collection[str] | None, sweep: str | None) -> list[RecordedRun]:
        """All runs of the ids, or of the ids that have a run in the sweep; none of those deleted."""

    def points(self, run_ids: Sequence[str], metrics: Sequence[str]) -> list[Point]:
        """All that was logged of the metrics in those runs."""


def tidy(recorded: Iterable[RecordedRun], sweep: str | None) -> pd.DataFrame:
    """The frame of `results.read.runs`, of the trials that belong to the sweep (None: all)."""
    trials: dict[tuple[str, int], list[RecordedRun]] = defaultdict(list)
    for run in recorded:
        key = _trial(run)
        if key is not None:
            trials[key].append(run)
    rows = []
    for key in sorted(trials):
        run = min(trials[key], key=_rank)
        others = {name for each in trials[key] for name in _sweeps(each)}
        if sweep is None or sweep in others:
            own = run.tags.get("ablation.sweep", "")
            rows.append((key, run, (own, *sorted(others - {own}))))
    return _frame(rows)


def paths(frame: pd.DataFrame, points: Iterable[Point], metrics: Sequence[str]) -> pd.DataFrame:
    """The frame of `results.read.curves`. Of points logged twice the newest counts, as in MLflow."""
    trial = dict(zip(frame["run_id"], zip(frame["id"], frame["seed"], strict=True), strict=True))
    rows: dict[tuple[str, int, int], dict[str, tuple[int, float]]] = defaultdict(dict)
    for run_id, metric, step, time, value in points:
        row = rows[(*trial[run_id], step)]
        row[metric] = max(row.get(metric, (time, value)), (time, value))
    keys = sorted(rows)
    columns: dict[str, pd.Series] = {
        "id": pd.Series([key[0] for key in keys], dtype="str"),
        "seed": pd.Series([key[1] for key in keys], dtype="int64"),
        "epoch": pd.Series([key[2] for key in keys], dtype="int64"),
    }
    for metric in metrics:
        columns[metric] = pd.Series([rows[key].get(metric, (0, math.nan))[1] for key in keys], dtype="float64")
    return pd.DataFrame(columns)


def _trial(run: RecordedRun) -> tuple[str, int] | None:
    """Which trial it is; None if it is none, or does not count."""
    tags = run.tags
    if "ablation.superseded_by" in tags or tags.get("ablation.kind", "trial") != "trial":
        return None
    identity, seed = tags.get("ablation.id", ""), tags.get("ablation.seed", "")
    return (identity, int(seed)) if identity and seed.isdecimal() else None


def _rank(run: RecordedRun) -> tuple[int, bool, int, str]:
    """The first of a trial's runs counts: the newest training; of its copies the finished, else the longest one."""
    epoch = run.tags.get("ablation.uploaded_epoch", "")
    return -_started(run), run.status != "FINISHED", -int(epoch) if epoch.isdecimal() else 0, run.run_id


def _started(run: RecordedRun) -> int:
    started = run.tags.get("ablation.started", "")
    return int(started) if started.isdecimal() else run.start


def _name(run: RecordedRun) -> str:
    """The arm's; trials recorded before there was the tag have it in the run's name."""
    return run.tags.get("ablation.name") or run.name.removesuffix(f" seed={run.tags['ablation.seed']}")


def _sweeps(run: RecordedRun) -> set[str]:
    names = f"{run.tags.get('ablation.sweep', '')},{run.tags.get('ablation.sweeps', '')}"
    return {name.strip() for name in names.split(",")} - {""}


def _frame(rows: list[tuple[tuple[str, int], RecordedRun, tuple[str, ...]]]) -> pd.DataFrame:
    found = [run for _, run, _ in rows]
    text = {word: [run.tags.get(f"ablation.{word}", "") for run in found] for word in WORDS}
    columns: dict[str, pd.Series] = {
        "id": pd.Series([key[0] for key, _, _ in rows], dtype="str"),
        "seed": pd.Series([key[1] for key, _, _ in rows], dtype="int64"),
        "name": pd.Series([_name(run) for run in found], dtype="str"),
        "sweep": pd.Series([sweeps[0] for _, _, sweeps in rows], dtype="str"),
        "sweeps": pd.Series([sweeps for _, _, sweeps in rows], dtype="object"),
        "status": pd.Series([run.status for run in found], dtype="str"),
        "run_id": pd.Series([run.run_id for run in found], dtype="str"),
        "started": pd.Series([_started(run) for run in found], dtype="int64"),
        "command": pd.Series(text.pop("command"), dtype="str"),
        "commit": pd.Series([run.tags.get(COMMIT, "") for run in found], dtype="str"),
        **{word: pd.Series(values, dtype="str") for word, values in text.items()},
    }
    images, code = ([_tagged(run, part) for run in found] for part in ("data.", CODE))
    groups = [{f"group.{group}": run.tags[group] for group in GROUPS if group in run.tags} for run in found]
    params = [{f"param.{k}": v for k, v in run.params.items() if k not in GROUPS} for run in found]
    results = [run.result if run.status == "FINISHED" else {} for run in found]
    columns |= _spread(images, [f"data.{name}" for name in IMAGES], "", "str")
    columns |= _spread(groups, [f"group.{group}" for group in GROUPS], "", "str")
    columns |= _spread(code, [], "", "str")
    columns |= _spread(params, [], None, "str")
    numbers = _spread(results, NUMBERS, math.nan, "float64")
    return pd.DataFrame(columns | {key: values for key, values in numbers.items() if key not in columns})


def _tagged(run: RecordedRun, prefix: str) -> dict[str, str]:
    """Tags of ours that begin so, without `ablation.`."""
    return {k.removeprefix("ablation."): v for k, v in run.tags.items() if k.startswith(f"ablation.{prefix}")}


def _spread(
    dicts: Sequence[dict[str, str] | dict[str, float]], fixed: Sequence[str], missing: object, dtype: str
) -> dict[str, pd.Series]:
    """A column for each key, the fixed ones first and the others by name."""
    columns: dict[str, list[object]] = {key: [missing] * len(dicts) for key in fixed}
    others: dict[str, list[object]] = {}
    for row, values in enumerate(dicts):
        for key, value in values.items():
            column = columns.get(key) or others.get(key)
            if column is None:
                column = others[key] = [missing] * len(dicts)
            column[row] = value
    columns |= dict(sorted(others.items()))
    return {key: pd.Series(values, dtype=dtype) for key, values in columns.items()}
