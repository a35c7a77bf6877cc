"""What is said of a table's ranking: two columns, and the sentences below."""

from __future__ import annotations

import math
from collections.abc import Sequence

from results.stats.ranks import LEAST, SEED
from results.tables.ranking import Rank, Ranking
from results.tables.table import Cell

_NAMED = 6  # labels, beyond which only their number is told
_TERMS = (
    "Rank correlation: 1 is the same order, 0 no relation, -1 the reverse. Spearman: the correlation of the ranks."
    " Kendall tau-b: the share of pairs of rows in the same order less the share in the reverse, corrected for ties."
    " Noise, of our seeds and of what was reported, brings both nearer to 0."
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
        f"in brackets where 95 % of resamples of the seeds put it (seeds' distances from their rows' means, drawn from"
        f" all rows; seed {SEED})"
        if known
        else "without an interval, since no row has two seeds"
    )
    lines = [f"Rank: 1 is the best mean of those rows that also have a {ranking.name} reported; {how}."]
    return [*(lines if ranking.places else []), _correlation(ranking), *([_TERMS] if ranking.agreement else [])]


def _correlation(ranking: Ranking) -> str:
    n, found = len(ranking.places), ranking.agreement
    begun = f"Rank correlation with the reported {ranking.name}:"
    left = "; ".join(f"{why}: {_named(labels)}" for why, labels in ranking.left.items())
    told = f"; {n} of {n + sum(map(len, ranking.left.values()))} rows" + (f". Left out: {left}." if left else ".")
    if found is None:
        return f"{begun} none, since it takes {LEAST} rows that were measured and have one{told}"
    if math.isnan(found.spearman):
        return f"{begun} none, since one of the two has all rows equal{told}"
    interval = f"95 % interval {found.low:.2f} to {found.high:.2f}"
    how = f"(bootstrap over the {n} rows, each with all of its seeds; seed {SEED})"
    return f"{begun} Spearman {found.spearman:.2f}, {interval} {how}, Kendall tau-b {found.kendall:.2f}{told}"


def _named(labels: Sequence[str]) -> str:
    return ", ".join(labels) if len(labels) <= _NAMED else f"{len(labels)} rows"
