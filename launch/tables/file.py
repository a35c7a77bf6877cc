"""The files of `conf/table`: a table's rows, what was reported of them, and what it says of itself.

Beside the grid (launch/compose/grid.py) a table has a `title`, a `source`, the `protocol` under which the source
measured, `notes`, `flags`, a `baseline` and a `rank`, the reported number whose order of the rows is held against ours;
and each of its rows has, beside its `overrides`:

    label     what the row is called, once in a table
    reported  metric -> the number the source gives, or several; accuracies in percent
    seq       what several numbers are: rounds (a chain of students), repeats (the same again), unknown
    against   label of the row that it is compared with, instead of the table's baseline; null: with none
    flags     of conf/table/_flags.yaml
    notes     footnotes
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml

from ablation.build import near
from ablation.errors import ConfigError
from launch.compose.paths import CONF

TABLES = CONF / "table"
FIRST = "first"  # as baseline: the first row
SEQUENCES = {
    "rounds": "the numbers are those of successive rounds, each taught by the one before",
    "repeats": "the numbers are repeats of one setting",
    "unknown": "the source does not say what its several numbers are",
}
# What rows may report. Beside the metrics of results: err = 100 - accuracy, err of the paper, top-5 accuracy, what
# others reached by the same, cost.
METRICS = (
    *("test_acc", "best_test_acc", "raw_test_acc", "val_acc", "train_acc", "err", "paper_err", "loss"),
    *("top5", "val_top5", "reference_acc", "reference_top5"),
    *("params_m", "weight_mib", "gpu_mem_mib", "gflops", "minutes_per_epoch"),
)
_OF_SWEEPERS = ("incomplete", "baseline", "title", "source", "protocol", "notes", "flags", "rank")
_OF_ROWS = ("label", "overrides", "reported", "seq", "against", "flags", "notes")


@dataclass(frozen=True)
class TableHead:
    """What a table says of itself, and how its sweep is to be run."""

    title: str
    source: str
    protocol: str
    notes: tuple[str, ...]
    flags: tuple[str, ...]
    baseline: str | None
    incomplete: str
    rank: str  # empty: not ranked


@cache
def flags() -> dict[str, str]:
    """What each flag means."""
    meanings: dict[str, str] = yaml.safe_load((TABLES / "_flags.yaml").read_text())
    return meanings


def read_table(sweeper: Mapping[str, Any], name: str) -> tuple[TableHead, dict[str, Any]]:
    """What the node `hydra.sweeper` says of a table of this name (or none), and the rest of it, which is the grid.

    Raises:
        ConfigError: names file, key and value.
    """
    where = f"conf/table/{name}.yaml" if name else "hydra.sweeper"
    head = {key: sweeper.get(key) for key in _OF_SWEEPERS}
    grid = {key: value for key, value in sweeper.items() if key not in head and not key.startswith("_")}
    labels = _check_rows(grid, where)
    _check_flags(head["flags"], f"{where}: flags")
    if head["incomplete"] not in ("refuse", "skip"):
        raise ConfigError(f"hydra.sweeper.incomplete={head['incomplete']}: use refuse or skip")
    if labels:
        _check_label(head["baseline"], [FIRST, *labels], f"{where}: baseline")
    _check_rank(head["rank"], grid, where)
    return TableHead(
        title=str(head["title"] or ""),
        source=str(head["source"] or ""),
        protocol=str(head["protocol"] or ""),
        notes=texts(head["notes"], f"{where}: notes"),
        flags=texts(head["flags"]),
        baseline=head["baseline"],
        incomplete=head["incomplete"],
        rank=head["rank"] or "",
    ), grid


def texts(value: Any, where: str = "notes") -> tuple[str, ...]:
    """One text or several, or null, as a tuple.

    Raises:
        ConfigError: it is something else; `where` is put before that.
    """
    given = [value] if isinstance(value, str) else value or ()
    if not isinstance(given, list | tuple) or any(not isinstance(text, str) for text in given):
        raise ConfigError(f"{where}={value}: give text, or a list of texts in quotes")
    return tuple(given)


def _check_rows(grid: Mapping[str, Any], where: str) -> list[str]:
    """The labels of all rows, in order."""
    labels: list[str] = []
    entries = list(_entries(grid, where))
    for place, row in entries:
        for key in row:
            if key not in _OF_ROWS:
                raise ConfigError(f"{place}.{key}: no such key; {near(str(key), _OF_ROWS)}")
        if "label" in row and (not isinstance(row["label"], str) or not row["label"]):
            raise ConfigError(f"{place}.label={row['label']}: is not text; put it in quotes")
        if row.get("label") in labels:
            raise ConfigError(f"{place}.label={row['label']}: another row has this label; give each a label of its own")
        labels += [row["label"]] if "label" in row else []
        _check_flags(row.get("flags"), f"{place}.flags")
        _check_reported(row, place)
        texts(row.get("notes"), f"{place}.notes")
    for place, row in entries:
        _check_label(row.get("against"), labels, f"{place}.against")
    return labels


def _entries(grid: Mapping[str, Any], where: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every row that is a mapping, with its place; mistakes in the grid itself are the grid's to refuse."""
    rows, union = grid.get("rows"), grid.get("union")
    for i, row in enumerate(rows if isinstance(rows, list) else ()):
        if isinstance(row, Mapping):
            yield f"{where}: rows[{i}]", row
    for i, sub in enumerate(union if isinstance(union, list) else ()):
        if isinstance(sub, Mapping):
            yield from _entries(sub, f"{where}: union[{i}]")


def _check_flags(given: Any, where: str) -> None:
    for flag in texts(given, where):
        if flag not in flags():
            raise ConfigError(f"{where}: {flag}: no such flag in conf/table/_flags.yaml; {near(flag, flags())}")


def _check_label(label: Any, labels: list[str], where: str) -> None:
    if label is not None and label not in labels:
        raise ConfigError(f"{where}={label}: no row has this label; {near(str(label), labels)}")


def _check_reported(row: Mapping[str, Any], where: str) -> None:
    reported, several = row.get("reported") or {}, False
    if not isinstance(reported, Mapping):
        raise ConfigError(f"{where}.reported={reported}: give a mapping such as {{test_acc: 95.1}}")
    for metric, value in reported.items():
        numbers = value if isinstance(value, list) else [value]
        several |= isinstance(value, list)
        if metric not in METRICS:
            raise ConfigError(f"{where}.reported.{metric}: no such metric; {near(metric, METRICS)}")
        if not numbers or any(isinstance(n, bool) or not isinstance(n, int | float) for n in numbers):
            raise ConfigError(f"{where}.reported.{metric}={value}: give a number or a list of numbers")
    if several and row.get("seq") not in tuple(SEQUENCES):
        raise ConfigError(f"{where}.seq={row.get('seq')}: say what its several numbers are: {', '.join(SEQUENCES)}")


def _check_rank(rank: Any, grid: Mapping[str, Any], where: str) -> None:
    names = sorted({name for _, row in _entries(grid, where) for name in row.get("reported") or {}})
    if rank is not None and rank not in names:
        way = near(str(rank), names) if names else "give null"
        raise ConfigError(f"{where}: rank={rank}: no row reports it; {way}")
