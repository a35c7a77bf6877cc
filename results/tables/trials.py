"""The runs of one line: which of them count, which are waited for, and under what they were measured."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pandas as pd

from results.tables.definition import Line
from results.tables.metrics import BEST
from results.trackers.frame import CODE, IMAGES

_COSTS = ("params", "seconds", "images_per_s", "peak_mem_mib", "weight_mib")
_NUMBERS = ("epochs", "batch_size")
_BUDGET = ("epochs", "batch_size", "train", "val", "test", "precision")
# Not the constants: they follow from pixels and norm, and trials of earlier versions do not name them.
_IMAGES = tuple(word for word in IMAGES if word != "constants")
_MACHINE = ("device", "torch")
_UNKNOWN = "unknown"
WORDS = {  # of images and budgets, where a reader knows them by another name
    "name": "data set",
    "batch_size": "batch size",
    "train": "training images",
    "val": "validation images",
    "test": "test images",
    "pixels": "fingerprint of the images",
}
_STATES = {"RUNNING": "running", "SCHEDULED": "queued", "KILLED": "stopped"}
Run = Mapping[str, Any]  # a row of the frame of results.read.runs


class Mixed(NamedTuple):
    """What differs between the seeds of one arm."""

    what: str  # "seeds differ in data"
    how: str  # "fingerprint of the images a1, b2"

    @property
    def words(self) -> str:
        """All of it."""
        return f"{self.what}: {self.how}"


@dataclass(frozen=True)
class Trials:
    """What the runs of one line say."""

    values: Mapping[int, float] = field(default_factory=dict)  # seed -> metric of the finished, among those asked for
    best: Mapping[int, float] = field(default_factory=dict)  # seed -> best_test_acc
    loss: Mapping[int, float] = field(default_factory=dict)  # seed -> train_loss, in which no two trainings are equal
    waiting: Mapping[int, str] = field(default_factory=dict)  # seed -> why it has no value
    unasked: tuple[int, ...] = ()  # finished seeds that nobody asked for
    budget: Mapping[str, str] = field(default_factory=dict)  # words; several joined by " / "
    images: Mapping[str, str] = field(default_factory=dict)  # words of `data.*`, likewise
    machine: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # device, torch: all there are
    code: Mapping[str, tuple[str, ...]] = field(
        default_factory=dict
    )  # loop, model, aug.mixup: digests of all there are
    cost: Mapping[str, float] = field(default_factory=dict)  # means over the seeds with a value
    mixed: Mixed | None = None  # why no mean may be taken of the values

    @property
    def empty(self) -> str:
        """Why there are no values, if there are none: "no val_acc" of trials that are finished."""
        return next((why for why in self.waiting.values() if why.startswith("no ")), "no runs")


def counted(of: str) -> str:
    """How many images, in words: `10000 of 50000 images (stratified)`."""
    number, bracket, how = of.partition(" (")
    return f"{number} images{bracket}{how}"


def by_id(frame: pd.DataFrame, ids: Collection[str]) -> dict[str, list[Run]]:
    """The rows of these arms."""
    wanted = frame[frame["id"].isin(list(ids))]
    found: dict[str, list[Run]] = {id_: [] for id_ in ids}
    for row in wanted.to_dict("records"):
        found[row["id"]].append({str(key): value for key, value in row.items()})
    return found


def collect(line: Line, runs: Sequence[Run], metric: str) -> Trials:
    """What these runs of a line's arm say of the seeds that the line asks for."""
    if line.id is None:
        return Trials()
    known = {int(run["seed"]): run for run in runs}
    values, waiting, counted = {}, {}, []
    for seed in line.seeds:
        value = _number(known[seed], metric) if seed in known else None
        if seed in known and _finished(known[seed]) and value is not None:
            values[seed] = value
            counted.append(known[seed])
        else:
            waiting[seed] = _state(known[seed], metric) if seed in known else "missing"
    images = {word: _words(counted, f"data.{word}") for word in _IMAGES}
    budget = {word: images[word] if word in images else _words(counted, word) for word in _BUDGET}
    return Trials(
        values=values,
        best=_by_seed(counted, BEST),
        loss=_by_seed(counted, "train_loss"),
        waiting=waiting,
        unasked=tuple(sorted(s for s, run in known.items() if s not in line.seeds and _finished(run))),
        budget={word: " / ".join(found) for word, found in budget.items() if found},
        images={word: " / ".join(found) for word, found in images.items() if found},
        machine={word: _words(counted, word) for word in _MACHINE},
        code={key.removeprefix(CODE): _words(counted, key) for run in counted for key in run if key.startswith(CODE)},
        cost={name: sum(numbers) / len(numbers) for name in _COSTS if (numbers := _numbers(counted, name))},
        mixed=_mixed(budget, images),
    )


def _mixed(budget: Mapping[str, Sequence[str]], images: Mapping[str, Sequence[str]]) -> Mixed | None:
    """The first thing that differs between seeds of one arm; the reader of a mean takes it to be one.

    Images with one fingerprint are the same under another name.
    """
    one = len(images.get("pixels", ())) == 1
    for what, words in (("data", images), ("budget", budget)):
        for word, found in words.items():
            if len(found) > 1 and not (one and word == "name"):
                if word == "precision":
                    return Mixed("seeds differ in precision", ", ".join(found))
                return Mixed(f"seeds differ in {what}", f"{WORDS.get(word, word)} {', '.join(found)}")
    return None


def _finished(run: Run) -> bool:
    return bool(run["status"] == "FINISHED")


def _state(run: Run, metric: str) -> str:
    if _finished(run):
        return f"no {metric}"  # not finite, or not measured
    if run["status"] == "FAILED":
        return f"failed: {run['cause']}" if run.get("cause") else "failed"
    return _STATES.get(run["status"], str(run["status"]).lower())


def _number(run: Run, name: str) -> float | None:
    value = run.get(name)
    return float(value) if value is not None and math.isfinite(value) else None


def _by_seed(runs: Iterable[Run], name: str) -> dict[int, float]:
    return {int(run["seed"]): value for run in runs if (value := _number(run, name)) is not None}


def _numbers(runs: Iterable[Run], name: str) -> list[float]:
    return [value for run in runs if (value := _number(run, name)) is not None]


def _words(runs: Iterable[Run], name: str) -> tuple[str, ...]:
    """The different values of a column, in order; that of a run without one is unknown, unless no run has one."""
    found = dict.fromkeys(_word(run, name) for run in runs)
    return () if set(found) <= {_UNKNOWN} else tuple(found)


def _word(run: Run, name: str) -> str:
    if name in _NUMBERS:
        number = _number(run, name)
        return _UNKNOWN if number is None else f"{number:.10g}"
    return str(run[name]) if _known(run.get(name)) else _UNKNOWN


def _known(value: Any) -> bool:
    return value not in (None, "") and value == value  # nan is not itself
