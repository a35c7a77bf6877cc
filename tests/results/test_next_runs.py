"""The commands that a table offers: what is missing, and more seeds, with what looking again costs."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy.stats import ttest_1samp

from results.stats import power
from results.tables.table import build
from tests.results.frames import arm, frame, line, run, table

BASE = [90.0, 90.1, 89.8, 90.2]
UNSURE = [90.4, 89.9, 90.3, 90.3]
_MOST = 50


def test_finished_trials_are_not_run_again_for_a_metric_that_they_lack() -> None:
    made = build(replace(table(line("good")), metric="val_acc"), frame(arm("base", BASE), arm("good", UNSURE)))
    assert [cell.verdict.words for cell in made.cells] == ["no val_acc", "no val_acc"]
    assert made.next == ()
    rows = [{**row, "val_acc": 90.0 + row["seed"]} for row in arm("good", UNSURE)]
    made = build(replace(table(line("good")), metric="val_acc"), frame(arm("base", BASE), rows))
    assert made.cells[1].verdict.words == "no val_acc of base"
    part = build(replace(table(line("good")), metric="val_acc"), frame(arm("base", BASE), arm("good", UNSURE)[:3]))
    assert part.next == ("python launch/run.py -m table=lab/made seeds=4  # for 1 trial without a result",)


def test_seeds_are_offered_by_what_a_line_has_and_not_by_what_others_have() -> None:
    many = line("many", seeds=40)
    made = build(table(line("so so"), many), frame(arm("base", BASE), arm("so so", UNSURE), arm("many", [99.0] * 40)))
    needed = made.cells[1].needed
    assert needed is not None
    assert 4 < needed < 40
    assert [command.partition("  # ")[0] for command in made.next] == [
        "python launch/run.py -m table=lab/made seeds=40"
    ]
    some = [run("good", seed, BASE[seed] + more) for seed, more in ((0, 0.4), (1, 1.0), (2, 0.9))]
    made = build(table(line("good")), frame(arm("base", BASE), some))
    assert made.cells[1].needed == 4
    assert [command.partition("  # ")[2] for command in made.next] == ["for 1 trial without a result"], (
        "this settles it"
    )


def test_seeds_added_until_it_is_significant_find_too_much() -> None:
    noise = np.random.default_rng(0).normal(size=(20_000, _MOST))
    looks = _significant(noise[:, :3])
    steps = range(2, _MOST + 1)
    findable = np.array([power.findable(n - 1) / math.sqrt(n) for n in steps])  # effects, of that many pairs
    effects = np.abs(noise[:, :3].mean(1)) / noise[:, :3].std(1, ddof=1)
    again = looks.copy()
    for n, smallest, smaller in zip(steps, findable, [np.inf, *findable[:-1]], strict=True):
        offered = ~looks & (effects >= smallest) & (effects < smaller) & (n > 3)
        again[offered] = _significant(noise[offered, :n])
    assert 0.045 < looks.mean() < 0.055
    assert 0.085 < again.mean() < 0.105


def _significant(values: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    return np.asarray(ttest_1samp(values, 0, axis=1).pvalue < power.ALPHA)
