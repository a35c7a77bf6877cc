"""A table: for every line what its runs say, how it stands to its baseline, and what is still to be run."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from ablation.build import near
from ablation.errors import ConfigError
from results.stats.compare import Comparison
from results.stats.holm import adjust
from results.stats.summary import Summary, summarize
from results.tables import remarks
from results.tables.definition import Definition, Line
from results.tables.metrics import RESULTS, metric
from results.tables.next_runs import commands
from results.tables.ranking import Ranking, rank
from results.tables.trials import Trials, by_id, collect
from results.tables.verdict import Kind, Pairing, Side, Verdict, decide, needed, pair


@dataclass(frozen=True)
class Cell:
    """One line of the table with its runs."""

    line: Line
    values: Mapping[int, float]  # seed -> metric of finished trials among the seeds asked for
    best: Mapping[int, float]  # seed -> best_test_acc, a selection on the test set
    waiting: Mapping[int, str]  # seed -> "missing", "running", "failed: oom", "stopped" of the others asked for
    summary: Summary | None  # None: nothing finished, or refused
    refused: str  # why there is no mean: "seeds differ in data: fingerprint of the images a1, b2"; empty else
    budget: Mapping[str, str]  # words of what was measured: epochs, batch_size, train, val, test, precision
    comparison: Comparison | None  # None: with nothing, or refused
    p_holm: float  # of the comparison, adjusted for all of the table's; nan without one, or for a control
    verdict: Verdict
    same_as: str | None  # label of an earlier line with the same id and baseline
    cost: Mapping[str, float]  # means over seeds: params, seconds, images_per_s, peak_mem_mib, weight_mib
    marks: tuple[str, ...] = ()  # what a reader must know of the comparison: "other budget: epochs 400 instead of 200"
    overlap: str = ""  # that of them which says that not every seed has a pair
    # Pairs that would find the observed difference, were it the true one, with 80 % power after adjustment; None: over
    # 1000, not known, or decided.
    needed: int | None = None

    @property
    def complete(self) -> bool:
        """Whether it has all of its seeds, and nothing was refused."""
        return self.summary is not None and not self.waiting and self.verdict.kind is not Kind.OTHER


@dataclass(frozen=True)
class Table:
    """A definition and what is known of its runs."""

    definition: Definition
    cells: tuple[Cell, ...]
    data: tuple[str, ...]  # data set, test images and their number, fingerprint: one line each distinct
    warnings: tuple[str, ...]
    next: tuple[str, ...]  # commands: fill what is missing; more seeds to settle what is undecided
    ranking: Ranking | None = None  # if the definition asks for one; then the cells are in its order

    @property
    def complete(self) -> bool:
        """Whether every line has all of its seeds, and nothing was refused."""
        return all(cell.complete for cell in self.cells)


def build(definition: Definition, frame: pd.DataFrame) -> Table:
    """The table of a definition, from the frame of `results.read.runs`, which may hold other runs too.

    A line is paired with its baseline by the seeds that are finished on both sides. Holm's adjustment is over all
    comparisons but those of controls, of fewer than three pairs, and of lines that are the same runs or bitwise equal.

    Raises:
        ConfigError: a metric that cannot be compared, a line against a label that the table lacks, or a label twice.
    """
    if definition.metric not in (*RESULTS, *frame.columns):
        raise ConfigError(
            f"hydra.launcher.metric={definition.metric}: no trial has it; {near(definition.metric, RESULTS)}"
        )
    metric(definition.metric)
    twice = [label for label, n in Counter(line.label for line in definition.lines).items() if n > 1]
    if twice:
        raise ConfigError(f"{definition.name}: {twice[0]}: two rows have this label; give each a label of its own")
    lines = definition.lines
    runs = by_id(frame, {line.id for line in lines if line.id})
    trials = [collect(line, runs.get(line.id or "", []), definition.metric) for line in lines]
    pairs = _pairs(definition, trials)
    adjusted = _adjusted(pairs)
    cells = [_cell(definition, line, each, pairs, adjusted) for line, each in zip(lines, trials, strict=True)]
    ranking = rank(definition, trials, {cell.line.label: cell.same_as for cell in cells})
    if ranking:
        cells.sort(key=lambda cell: ranking.order.index(cell.line.label))
    wanted = {c.line.label: c.needed for c in cells if c.comparison and c.needed and c.needed > c.comparison.n}
    finished = [(run["id"], int(run["seed"])) for rows in runs.values() for run in rows if run["status"] == "FINISHED"]
    return Table(
        definition,
        tuple(cells),
        remarks.images(lines, trials),
        remarks.warnings(lines, trials),
        commands(definition, trials, wanted, finished),
        ranking,
    )


def _pairs(definition: Definition, trials: list[Trials]) -> dict[str, Pairing]:
    """Every line's label and how it stands to the line it is against."""
    sides = {line.label: Side(line, each) for line, each in zip(definition.lines, trials, strict=True)}
    bases = {line.against for line in definition.lines}
    pairs = {}
    for label, side in sides.items():
        against = side.line.against
        if against is not None and against not in sides:
            raise ConfigError(
                f"{definition.name}: {label}: against={against}: no row has this label; {near(against, sides)}"
            )
        same = _same_as(definition, side.line)
        base = None if against is None else sides[against]
        pairs[label] = pair(side, base, same, label in bases, metric(definition.metric))
    return pairs


def _same_as(definition: Definition, line: Line) -> str | None:
    """An earlier line that says all that this one says: its baseline, or one that is compared with the same one."""
    if line.id is None:
        return None
    ids = {each.label: each.id for each in definition.lines}
    base = ids.get(line.against or "")
    for other in definition.lines[: definition.lines.index(line)]:
        if other.id == line.id and (line.against is None or base in (line.id, ids.get(other.against or ""))):
            return other.label
    return None


def _adjusted(pairs: Mapping[str, Pairing]) -> dict[str, float]:
    """The p values of those that it decides, by label."""
    raw = {label: made.comparison.p for label, made in pairs.items() if made.comparison and made.tested}
    return dict(zip(raw, adjust(list(raw.values())), strict=True))


def _cell(
    definition: Definition, line: Line, trials: Trials, pairs: Mapping[str, Pairing], adjusted: Mapping[str, float]
) -> Cell:
    made, p_holm = pairs[line.label], adjusted.get(line.label, math.nan)
    verdict, more = made.verdict, None
    if verdict is None:
        assert made.comparison is not None
        verdict = decide(made.comparison, p_holm, metric(definition.metric))
        more = needed(made.comparison, list(adjusted.values())) if verdict.kind is Kind.UNDECIDED else None
    return Cell(
        line=line,
        values=trials.values,
        best=trials.best,
        waiting=trials.waiting,
        summary=summarize(list(trials.values.values())) if trials.values and not trials.mixed else None,
        refused=trials.mixed.words if trials.mixed else "",
        budget=trials.budget,
        comparison=made.comparison,
        p_holm=p_holm,
        verdict=verdict,
        same_as=_same_as(definition, line),
        cost=trials.cost,
        marks=made.marks,
        overlap=made.overlap,
        needed=more,
    )
