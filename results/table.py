"""A table: for every line what its runs say, how it stands to its baseline, and what is still to be run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from results.definition import Definition, Line

if TYPE_CHECKING:
    from results.stats.compare import Comparison
    from results.stats.summary import Summary


@dataclass(frozen=True)
class Cell:
    """One line of the table with its runs."""

    line: Line
    values: Mapping[int, float]  # seed -> metric of finished trials among the seeds asked for
    best: Mapping[int, float]  # seed -> best_test_acc, a selection on the test set
    waiting: Mapping[int, str]  # seed -> "missing", "running", "failed: oom", "stopped" of the others asked for
    summary: Summary | None  # None: nothing finished, or refused
    refused: str  # why there is no mean: "mixed data: pixels a1, b2"; empty else
    budget: Mapping[str, str]  # words of what was measured: epochs, batch_size, train, val, test, precision
    comparison: Comparison | None  # None: with nothing, or refused
    p_holm: float  # of the comparison, adjusted for all of the table's; nan without one, or for a control
    verdict: str  # baseline, better, worse, undecided, or why nothing can be said
    same_as: str | None  # label of an earlier line with the same id
    cost: Mapping[str, float]  # means over seeds: params, seconds, images_per_s, peak_mem_mib, weight_mib
    marks: tuple[str, ...] = ()  # what a reader must know of the comparison: "other budget: epochs 400, baseline's 200"


@dataclass(frozen=True)
class Table:
    """A definition and what is known of its runs."""

    definition: Definition
    cells: tuple[Cell, ...]
    data: tuple[str, ...]  # data set, test images and their number, fingerprint: one line each distinct
    warnings: tuple[str, ...]
    next: tuple[str, ...]  # commands: fill what is missing; more seeds to settle what is undecided
