"""Numbers and words of single cells, the same in every output for people."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from results.stats import power
from results.stats.summary import Summary, summarize
from results.tables.metrics import Metric
from results.tables.table import Cell
from results.tables.trials import counted
from results.tables.verdict import CONTROLS, Kind

_EQUAL = {  # nothing is known of the noise although there are several seeds; by whether they are pairs
    True: "all pairs differ by the same amount, so that there is no interval, and p is that of a sign-flip test",
    False: "on each side all values are equal, so that there is no interval, and p is that of a permutation test",
}


def mean(found: Summary, metric: Metric) -> str:
    """`92.39 ± 0.12`; without the second for one seed."""
    text = f"{found.mean:.{metric.digits}f}"
    return text if math.isnan(found.std) else f"{text} ± {found.std:.{metric.digits}f}"


def measured(cell: Cell, metric: Metric) -> str:
    """The mean, and what it lacks."""
    own = "no mean" if cell.refused else mean(cell.summary, metric) if cell.summary else ""
    return ", ".join(filter(None, [own, lacking(cell)]))


def lacking(cell: Cell) -> str:
    """`missing 2/4`, `failed 1/4`: seeds without a value, by why."""
    kinds = Counter(why.partition(":")[0] for why in cell.waiting.values())
    return ", ".join(f"{kind} {number}/{len(cell.line.seeds)}" for kind, number in kinds.items())


def seeds(cell: Cell) -> str:
    """How many seeds are in the mean; of how many, if some lack."""
    if cell.line.id is None:
        return ""
    return f"{len(cell.values)}/{len(cell.line.seeds)}" if cell.waiting else str(len(cell.values))


def difference(cell: Cell, metric: Metric) -> str:
    """`+0.55 [+0.20, +0.90]`."""
    if cell.comparison is None:
        return ""
    diff, low, high = map(metric.signed, (cell.comparison.diff, cell.comparison.low, cell.comparison.high))
    return diff if math.isnan(cell.comparison.low) else f"{diff} [{low}, {high}]"


def p_value(cell: Cell) -> str:
    """Adjusted; that of a control is not, and says so."""
    if cell.comparison and raw(cell):
        return f"({_p(cell.comparison.p)})"
    return "" if math.isnan(cell.p_holm) else _p(cell.p_holm)


def raw(cell: Cell) -> bool:
    """Whether its p value is a control's, which claims nothing and so is not adjusted."""
    return cell.verdict.kind in CONTROLS


def _p(p: float) -> str:
    """Three decimals below 0.1, else two; more just below 0.05, which is no 0.050."""
    if p < 0.001:
        return "<0.001"
    digits = 3 if p < 0.1 else 2
    while p < power.ALPHA <= float(f"{p:.{digits}f}"):
        digits += 1
    return f"{p:.{digits}f}"


def verdict(cell: Cell) -> str:
    """Without the reason that a footnote gives; with the seeds that would settle it."""
    if cell.verdict.kind is Kind.UNDECIDED and cell.needed:
        return f"undecided ({cell.needed} seeds)"
    return cell.verdict.brief


def best(cell: Cell, metric: Metric) -> str:
    """The best epochs' mean over the seeds that have one."""
    return mean(summarize(list(cell.best.values())), metric) if cell.best and not cell.refused else ""


def reported(cell: Cell, cells: Mapping[str, Cell], metric: Metric) -> str:
    """`92.94 (+0.55)`: what was reported, and its difference to what was reported of the baseline.

    Several numbers stand beside each other, without a difference: they may be no repeats, but rounds.
    """
    numbers = cell.line.reported.get(metric.name, ())
    text = " / ".join(f"{number:.{metric.digits}f}" for number in numbers)
    difference = reported_difference(cell, cells, metric.name)
    return text if difference is None else f"{text} ({metric.signed(difference)})"


def reported_difference(cell: Cell, cells: Mapping[str, Cell], name: str) -> float | None:
    """The one number reported of this line less the one of its baseline; None unless each has exactly one."""
    base = cells.get(cell.line.against or "")
    own, other = cell.line.reported.get(name, ()), base.line.reported.get(name, ()) if base else ()
    return own[0] - other[0] if len(own) == len(other) == 1 else None


def budget(cells: Sequence[Cell]) -> str:
    """What rows were trained with: the words that they share; of those that differ, which rows have which."""
    forms = {"epochs": "{} epochs", "batch_size": "batch size {}", "train": "trained on {}", "val": "validated on {}"}
    told = []
    for word, form in {**forms, "precision": "{}"}.items():
        found: dict[str, list[str]] = {}
        for cell in cells:
            if cell.budget.get(word, "none") != "none":
                found.setdefault(cell.budget[word], []).append(cell.line.label)
        for number, (value, labels) in enumerate(sorted(found.items(), key=lambda item: -len(item[1]))):
            said = form.format(counted(value) if word == "train" else value)
            told.append(said + (f" ({', '.join(labels)})" if number else ""))
    return ", ".join(told)


def waiting(why: Mapping[int, str]) -> list[str]:
    """Seeds without a number, by why: `seeds 2, 3 missing`, `seed 4 failed: oom`."""
    seeds: dict[str, list[int]] = {}
    for seed in sorted(why):
        seeds.setdefault(why[seed], []).append(seed)
    return [f"seed{'s' * (len(s) > 1)} {', '.join(map(str, s))} {w}" for w, s in seeds.items()]


def footnotes(cell: Cell, usual: str | None) -> list[str]:
    """What is to be known of this line, one sentence each; `usual` is what most lines are compared with."""
    told = waiting({seed: why for seed, why in cell.waiting.items() if ":" in why})
    told += [cell.verdict.words] if cell.verdict.reason else []
    told += [cell.refused] if cell.refused and cell.refused != cell.verdict.words else []
    told += cell.marks
    told += [_EQUAL[cell.comparison.paired]] if cell.comparison and p_value(cell) and not cell.comparison.std else []
    told += [f"compared with {cell.line.against}"] if cell.line.against not in (None, usual) else []
    told += [", ".join(cell.line.flags)] if cell.line.flags else []
    return [*told, *cell.line.notes]
