"""How to read a table's numbers: the sentences below it."""

from __future__ import annotations

import math

from results.render import ranked, text
from results.tables.metrics import Metric
from results.tables.table import Cell, Table
from results.tables.verdict import CONTROL, LEAST, Kind

_FEW = (
    "No verdict: an interval of two differences holds only if noise is normal, which two cannot show. A verdict needs"
    " three seeds, of the arm and of what it is compared with."
)
_FOLLOWED = (
    "Seeds added because of a look at the result weaken its p: with one such follow-up 8 to 10 % of tables"
    " without effect find one instead of 5 %."
)


def below(table: Table, shown: Metric, usual: str | None) -> list[str]:
    """What the columns are, what the undecided lines would need, and the table's notes.

    `usual` is what most lines are compared with.
    """
    compared = [cell for cell in table.cells if cell.comparison]
    lines = [f"{shown.words[0].upper()}{shown.words[1:]}: mean ± standard deviation over n seeds."]
    if compared:
        lines[0] += f" Difference to {usual}{_how(compared)}.{_tested(table, compared)}"
    if any(cell.verdict.kind is Kind.FEW for cell in compared):
        lines.append(_FEW)
    unsure = [cell for cell in compared if cell.verdict.kind is Kind.UNDECIDED]
    if unsure:
        lines.append(_undecided(unsure, shown))
    lines += ranked.sentences(table.ranking) if table.ranking else []
    return [*lines, *(f"Note: {note}" for note in table.definition.notes)]


def _how(compared: list[Cell]) -> str:
    """How the differences were taken, and what stands in brackets behind them."""
    known = any(cell.comparison.low == cell.comparison.low for cell in compared if cell.comparison)  # nan is not itself
    interval = " with its 95 % t interval" if known else ""
    welch = "Welch's test, " if known else ""
    if _all_paired(compared):
        return ", paired by seed" + f",{interval}" * known
    if not any(cell.comparison.paired for cell in compared if cell.comparison):
        return f"{interval}, {welch}not paired"
    return f"{interval}, paired by seed; where marked, {welch}not paired"


def _tested(table: Table, compared: list[Cell]) -> str:
    """The p values; how many comparisons they are adjusted for, of how many once all has been run."""
    adjusted = sum(cell.p_holm == cell.p_holm for cell in compared)  # nan is not itself
    if not adjusted:
        return ""
    still = _open(table)
    number = f"{adjusted} of {adjusted + still} comparisons so far" if still else _comparisons(adjusted)
    controls = "; in brackets: a control's, not adjusted" if any(text.raw(cell) for cell in compared) else ""
    return f" p: {'paired ' * _all_paired(compared)}t test, adjusted by Holm for {number}{controls}."


def _all_paired(compared: list[Cell]) -> bool:
    return all(cell.comparison.paired for cell in compared if cell.comparison)


def _comparisons(number: int) -> str:
    return f"{number} comparison{'s' * (number != 1)}"


def _open(table: Table) -> int:
    """Comparisons that have no p value yet, but can get one from the trials that are waited for."""
    cells = {cell.line.label: cell for cell in table.cells}
    return sum(_waits(cell, cells[cell.line.against]) for cell in table.cells if cell.line.against is not None)


def _waits(cell: Cell, base: Cell) -> bool:
    if CONTROL in cell.line.flags or cell.same_as is not None or cell.p_holm == cell.p_holm:
        return False
    if cell.line.id is None or base.line.id is None or cell.refused or base.refused:
        return False
    if cell.verdict.kind is Kind.OTHER or (cell.comparison is not None and cell.comparison.identical):
        return False
    return bool(cell.waiting or base.waiting) and min(len(cell.line.seeds), len(base.line.seeds)) >= LEAST


def _undecided(unsure: list[Cell], shown: Metric) -> str:
    """What it would take to decide them, and what that does to p.

    The share of false findings was measured on 10,000 tables without effect for each of 1, 4 and 10 arms and 3, 4 and 5
    seeds: normal accuracies, one baseline for all arms, Holm's adjustment, and, where nothing was found, once as many
    seeds as the table asked for (50 at most). Then 7.9 to 9.6 % of the tables had found something, 4.4 to 5.3 % at
    the first look. Who goes on until nothing more is asked for finds something in 8.3 to 10.6 %.
    """
    known = [
        f"{cell.comparison.detectable:.{shown.digits}f} ({cell.line.label})"
        for cell in unsure
        if cell.comparison and math.isfinite(cell.comparison.detectable)
    ]
    told = [
        "Undecided (seeds): so many would find the observed difference, were it the true one, with 80 % power in this"
        " table; no number: more than 1000, or not known."
    ]
    told += [f"A single comparison of the seeds at hand finds with 80 % power: {', '.join(known)}."] if known else []
    told += [_FOLLOWED] if any(cell.needed for cell in unsure) else []
    return " ".join(told)
