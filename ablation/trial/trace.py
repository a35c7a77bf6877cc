"""The loss and the scheduled fields of every step, in each attempt's `trace.jsonl`: one line an epoch.

As the journal's, its lines are whole after a kill, and a later attempt takes back what came after its start.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from ablation.store import attempt, journal

if TYPE_CHECKING:  # who only reads needs no torch
    from ablation.state import State
    from ablation.train import Plan

TRACE = "trace.jsonl"  # in an attempt's folder
Fields = dict[str, list[float | None]]  # "loss" and each scheduled field -> a value a step; None: not finite


def last_epoch(plan: Plan, state: State) -> list[Fields]:
    """Of each lane: the epoch that has just ended. Of groups with rates of their own, the first's."""
    n, group = plan.steps_per_epoch, state.optimizer.param_groups[0]
    steps = range(state.step - n, state.step)
    fields = {
        name: [_short(group[f"initial_{name}"] * schedule(i / plan.steps)) for i in steps]
        for name, schedule in plan.schedules.items()
    }
    return [{"loss": list(map(_short, losses)), **fields} for losses in state.losses.reshape(-1, n).tolist()]


def _short(value: float) -> float | None:
    return float(f"{value:.6g}") if math.isfinite(value) else None


def write(folder: Path, first: int, fields: Fields) -> None:
    """Append an epoch, whose first step is `first`, to an attempt's trace."""
    lines = journal.Journal(folder / TRACE)
    try:
        lines.write("steps", first=first, fields=fields)
    finally:
        lines.close()


def read(seed_folder: Path) -> dict[int, dict[str, float | None]]:
    """Step -> its fields, ascending, of all attempts; empty if nothing was traced."""
    held: dict[int, dict[str, float | None]] = {}
    for number in attempt.numbers(seed_folder):
        folder = attempt.folder(seed_folder, number)
        start = next((e["step"] for e in journal.read(folder / journal.JOURNAL) if e["event"] == "start"), None)
        if start is None:
            continue
        # An epoch that a start falls into is written whole by the attempt that ends it.
        held = {step: values for step, values in held.items() if step < start}
        for line in journal.read(folder / TRACE):
            names, columns = list(line["fields"]), line["fields"].values()
            rows = (dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True))
            held |= {line["first"] + i: row for i, row in enumerate(rows)}
    return dict(sorted(held.items()))
