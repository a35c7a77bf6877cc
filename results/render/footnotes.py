"""How to read a table's numbers: the sentences below it."""

from __future__ import annotations

import math

from results.render import ranked, text
from results.tables.metrics import Metric
from results.tables.table import Cell, Table
from results.tables.verdict import CONTROL, LEAST, Kind

_FEW = (
    "A verdict takes three seeds of an arm and of what it is compared with: one difference says nothing of the noise,"
    " and the interval of two holds only if the noise is normal, which two cannot show."
)
_FOLLOWED = (
    "Seeds that are added after a look at the result weaken p: with one such follow-up, 8 to 10 % of tables without an"
    " effect find one, instead of 5 %."
)


def below(table: Table, shown: Metric, usual: str | None) -> list[str]:
    """What the columns are, what the undecided lines would need, and the table's notes.

    `usual` is what most lines are compared with.
    """
    compared = [cell for cell in table.cells if cell.comparison]
    lines = [f"The numbers are the mean ± standard deviation over n seeds of the {shown.spoken}."]
    if compared:
        lines[0] += f" Differences are to {usual}, {_how(compared)}.{_tested(table, compared)}"
    if any(cell.verdict.kind in (Kind.ONE, Kind.FEW) for cell in compared):
        lines.append(_FEW)
    unsure = [cell for cell in compared if cell.verdict.kind is Kind.UNDECIDED]
    if unsure:
        lines.append(_undecided(unsure, shown))
    lines += ranked.sentences(table.ranking) if table.ranking else []
    return [*lines, *(f"Note: {note}" for note in table.definition.notes)]


def _how(compared: list[Cell]) -> str:
    """How the differences were taken, and which interval stands in brackets behind them."""
    known = any(cell.comparison.low == cell.comparison.low for cell in compared if cell.comparison)  # nan is not itself
    interval, welch = (", with 95 % t intervals", " (Welch's test)") if known else ("", "")
    if _all_paired(compared):
        return f"paired by seed{interval}"
    if not any(cell.comparison.paired for cell in compared if cell.comparison):
        return f"not paired{welch}{interval}"
    return f"paired by seed, or where marked not paired{welch}{interval}"


def _tested(table: Table, compared: list[Cell]) -> str:
    """The p values; how many comparisons they are adjusted for, of how many once all has been run."""
    adjusted = sum(cell.p_holm == cell.p_holm for cell in compared)  # nan is not itself
    if not adjusted:
        return ""
    still = _open(table)
    number = f"{_comparisons(adjusted)} so far, of {adjusted + still} in all" if still else _comparisons(adjusted)
    controls = "; that of a control, in brackets, is not adjusted" if any(text.raw(cell) for cell in compared) else ""
    return f" p is that of a {'paired ' * _all_paired(compared)}t test, adjusted by Holm for {number}{controls}."


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
        "Undecided (N seeds) means that N seeds would find the observed difference, if it is the true one, with 80 %"
        " power in this table; without a number it takes more than 1000, or is not known."
    ]
    told += (
        [f"With 80 % power, a single comparison of the seeds at hand finds a difference of {', '.join(known)}."]
        if known
        else []
    )
    told += [_FOLLOWED] if any(cell.needed for cell in unsure) else []
    return " ".join(told)
