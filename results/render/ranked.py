"""What is said of a table's ranking: two columns, and the sentences below."""

from __future__ import annotations

import math
from collections.abc import Sequence

from results.stats.ranks import LEAST, SEED
from results.tables.ranking import Rank, Ranking
from results.tables.table import Cell

_NAMED = 6  # labels, beyond which only their number is told
_TERMS = (
    "A rank correlation is 1 for the same order, 0 for no relation and -1 for the reverse. Spearman's is the"
    " correlation of the ranks; Kendall's tau-b is the share of pairs of rows in the same order less the share in the"
    " reverse, corrected for ties. Noise in our seeds, and in what was reported, brings both nearer to 0."
)


def columns(ranking: Ranking, cells: Sequence[Cell]) -> dict[str, list[str]]:
    """Our ranks with their intervals, and those of the reported numbers."""
    places = [ranking.places.get(cell.line.label) for cell in cells]
    return {
        "rank [95 %]": [_rank(place) if place else "" for place in places],
        "rank of reported": [f"{place.reported:g}" if place else "" for place in places],
    }


def _rank(place: Rank) -> str:
    """`3 [1, 7]`."""
    return f"{place.rank:g}" + ("" if math.isnan(place.low) else f" [{place.low:g}, {place.high:g}]")


def sentences(ranking: Ranking) -> list[str]:
    """How to read the ranks, and how far they agree."""
    known = any(not math.isnan(place.low) for place in ranking.places.values())
    how = (
        f" In brackets are the ranks that 95 % of resamples of the seeds give: the distances of seeds from the means of"
        f" their rows, drawn from all rows with seed {SEED}."
        if known
        else " It has no interval, since no row has two seeds."
    )
    lines = [f"Rank 1 is the best mean of the rows that also have a reported {ranking.name}.{how}"]
    return [*(lines if ranking.places else []), _correlation(ranking), *([_TERMS] if ranking.agreement else [])]


def _correlation(ranking: Ranking) -> str:
    n, found = len(ranking.places), ranking.agreement
    what = f"rank correlation with the reported {ranking.name}"
    rows = f"{n} of {n + sum(map(len, ranking.left.values()))} rows"
    left = "; ".join(f"{_named(labels)} ({why})" for why, labels in ranking.left.items())
    told = f" Left out are {left}." if left else ""
    if found is None:
        return f"There is no {what}, since it takes {LEAST} rows that were measured and have one: {rows} do.{told}"
    if math.isnan(found.spearman):
        return f"There is no {what}, since one of the two is the same in all rows ({rows}).{told}"
    interval = f"95 % interval {found.low:.2f} to {found.high:.2f}"
    how = f"bootstrap over rows, each with all of its seeds, with seed {SEED}"
    values = f"Spearman's is {found.spearman:.2f} ({interval}; {how}), Kendall's tau-b {found.kendall:.2f}"
    return f"The {what} is over {rows}: {values}.{told}"


def _named(labels: Sequence[str]) -> str:
    return ", ".join(labels) if len(labels) <= _NAMED else f"{len(labels)} rows"
