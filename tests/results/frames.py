"""Frames as `results.read.runs` gives them, and definitions, made by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from results.tables.definition import Definition, Line

DATA = {"name": "digits", "train": "512 of 1437 (stratified)", "val": "none", "test": "360 of 360", "split_seed": "0"}
DATA |= {"pixels": "eeb1db75d2887405", "norm": "pixel", "view": "pad_crop, pad 4", "encoding": "32x32x3 uint8"}
RUN = {"status": "FINISHED", "epochs": 10.0, "batch_size": 64.0, "params": 75290.0, "seconds": 3.5, "precision": "bf16"}
RUN |= {"device": "cpu (1 threads)", "torch": "2.9", "cause": "", "best_test_acc": 99.0}
COMMAND = "python launch/run.py -m table=lab/made seeds=4 hydra/launcher=report"


def run(id_: str, seed: int, test_acc: float | None = None, **others: Any) -> dict[str, Any]:
    """One row; `data_pixels` stands for `data.pixels`."""
    words = {f"data.{key}": value for key, value in DATA.items()}
    words |= {key.replace("data_", "data."): value for key, value in others.items()}
    numbers = {"test_acc": test_acc, "train_loss": (test_acc or 0.0) / 100}
    return {"id": id_, "seed": seed, "name": id_, **RUN, **numbers, **words}


def arm(id_: str, values: list[float], **others: Any) -> list[dict[str, Any]]:
    """Finished trials of the seeds 0, 1, ..."""
    return [run(id_, seed, value, **others) for seed, value in enumerate(values)]


def frame(*rows: list[dict[str, Any]]) -> pd.DataFrame:
    """All of them; without any, the columns."""
    found = [row for part in rows for row in part]
    return pd.DataFrame(found) if found else pd.DataFrame(columns=[*run("x", 0)])


def line(label: str, against: str | None = "base", seeds: int = 4, **others: Any) -> Line:
    """A line whose arm's id is its label."""
    values: dict[str, Any] = {"id": label, "name": f"aug={label}", **others}
    return Line(label=label, seeds=tuple(range(seeds)), against=against, **values)


def table(*lines: Line, **others: Any) -> Definition:
    """With the line `base` before these."""
    base = line("base", against=None, name="baseline")
    values: Mapping[str, Any] = {"title": "Made by hand", "command": COMMAND, **others}
    return Definition(name="lab/made", lines=(base, *lines), **values)
