"""A table's rows by rank: by what was measured here, beside the rank of a number that somebody else reported."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from results.stats.ranks import LEAST, Agreement, agreement, intervals, ranks
from results.tables.definition import Definition, Line
from results.tables.metrics import metric, reported
from results.tables.trials import Trials

COPIED = "copied"  # flag of a reported number that was measured under another protocol
_BUDGET = ("epochs", "batch_size", "train", "val", "test")
RankedLine = tuple[Line, Trials]


@dataclass(frozen=True)
class Rank:
    """Of a row among those that were measured here and have a reported number."""

    rank: float  # 1 is the best mean; equal ones share their average rank
    low: float  # 95 % interval; nan: no row has two seeds
    high: float
    reported: float  # the rank of its reported number among those of the same rows


@dataclass(frozen=True)
class Ranking:
    """Of those rows of a table that can be ranked both ways."""

    name: str  # of the reported number
    places: Mapping[str, Rank]  # by label
    agreement: Agreement | None  # None: too few rows
    left: Mapping[str, Sequence[str]]  # why rows have no place -> their labels
    order: Sequence[str]  # labels of all rows: the best mean first, at the end what cannot stand beside those


def rank(definition: Definition, trials: Sequence[Trials], same: Mapping[str, str | None]) -> Ranking | None:
    """The ranking that the definition asks for, if it does. `same`: label -> the label of another row of the same runs.

    Rows that have no reported number, or one that says nothing here, are in the order, but have no place.
    """
    if not definition.rank:
        return None
    ours, theirs = metric(definition.metric), reported(definition.rank)
    rows = list(zip(definition.lines, trials, strict=True))
    usual = _usual(rows)
    measured = [row for row in rows if not _unmeasured(row, usual)]
    measured.sort(key=lambda row: -_mean(row) if ours.more else _mean(row))
    whys = {row[0].label: _unmeasured(row, usual) or _unfit(row, definition.rank, same) for row in rows}
    kept = [row for row in rows if not whys[row[0].label]]
    own = ranks([_mean(row) for row in kept], ours.more)
    other = ranks([line.reported[definition.rank][0] for line, _ in kept], theirs.more)
    ends = intervals([list(each.values.values()) for _, each in kept], ours.more)
    ends = ends or [(math.nan, math.nan)] * len(kept)
    first = [line.label for line, _ in measured]
    return Ranking(
        definition.rank,
        {line.label: Rank(float(own[n]), *ends[n], float(other[n])) for n, (line, _) in enumerate(kept)},
        agreement(own, other) if len(kept) >= LEAST else None,
        {why: [label for label in whys if whys[label] == why] for why in whys.values() if why},
        [*first, *(label for label in whys if label not in first)],
    )


def _unmeasured(row: RankedLine, usual: Sequence[str]) -> str:
    """Why its mean cannot stand beside the others'; empty if it can."""
    _, trials = row
    if not trials.values or trials.mixed:
        return "not measured"
    return "" if _budget(trials) == usual else "measured at another budget, or on other images, than most"


def _unfit(row: RankedLine, name: str, same: Mapping[str, str | None]) -> str:
    """Why it has no place although it was measured; empty if it has."""
    line, _ = row
    numbers = line.reported.get(name, ())
    if not numbers:
        return "no reported number"
    if COPIED in line.flags:
        return "copied number, of another protocol"
    if len(numbers) > 1:
        return "several reported numbers"
    return "the same runs as another row" if same[line.label] is not None else ""


def _mean(row: RankedLine) -> float:
    return fmean(row[1].values.values())


def _usual(rows: Sequence[RankedLine]) -> Sequence[str]:
    """What most rows that were measured were measured under."""
    found = Counter(_budget(trials) for _, trials in rows if trials.values and not trials.mixed)
    return found.most_common(1)[0][0] if found else ()


def _budget(trials: Trials) -> tuple[str, ...]:
    return (*(trials.budget.get(word, "") for word in _BUDGET), trials.images.get("pixels", ""))
