"""A table for spreadsheets: one row a line, every number in full."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from results.render.text import reported_difference
from results.stats.compare import Comparison
from results.stats.summary import summarize
from results.tables.ranking import Ranking
from results.tables.table import Cell, Table

_COMPARISON = [field.name for field in fields(Comparison)]
_NAMES = {"n": "pairs", "std": "diff_std"}  # these are the arm's own
_COSTS = ("params", "seconds", "images_per_s", "peak_mem_mib", "weight_mib")
_BUDGET = ("epochs", "batch_size", "train", "val", "test", "precision")


def render(table: Table) -> str:
    """Comma separated, with a head; what is not known is empty."""
    cells = {cell.line.label: cell for cell in table.cells}
    reported = list(dict.fromkeys(name for cell in table.cells for name in cell.line.reported))
    rows = [_row(table, cell, cells, reported) for cell in table.cells]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else ["table"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _row(table: Table, cell: Cell, cells: Mapping[str, Cell], reported: list[str]) -> dict[str, str]:
    best = summarize(list(cell.best.values())) if cell.best and not cell.refused else None
    compared: dict[str, Any] = asdict(cell.comparison) if cell.comparison else {}
    found: dict[str, Any] = {
        "table": table.definition.name,
        "label": cell.line.label,
        "id": cell.line.id,
        "name": cell.line.name,
        "metric": table.definition.metric,
        "n": len(cell.values),
        "asked": len(cell.line.seeds),
        "mean": cell.summary and cell.summary.mean,
        "std": cell.summary and cell.summary.std,
        "values": _pairs(cell.values),
        "waiting": _pairs(cell.waiting),
        "against": cell.line.against,
        **{_NAMES.get(name, name): compared.get(name) for name in _COMPARISON},
        "p_holm": cell.p_holm,
        "verdict": cell.verdict.words,
        "verdict_kind": cell.verdict.kind,
        "refused": cell.refused,
        # Beside the comparison's own, which knows of no other comparisons.
        "needed_adjusted": cell.needed,
        "best_epoch_selected_on_test_mean": best and best.mean,
        "best_epoch_selected_on_test_std": best and best.std,
    }
    for name in reported:
        found[f"reported_{name}"] = " ".join(map(str, cell.line.reported.get(name, ())))
        found[f"reported_{name}_diff"] = reported_difference(cell, cells, name)
    if table.ranking:
        found |= _ranks(table.ranking, cell.line.label)
    found |= {word: cell.budget.get(word) for word in _BUDGET}
    found |= {name: cell.cost.get(name) for name in _COSTS}
    found |= _origin(table)
    found |= {"marks": "; ".join(cell.marks), "flags": " ".join(cell.line.flags), "notes": "; ".join(cell.line.notes)}
    return {key: _spelt(value) for key, value in found.items()}


def _ranks(ranking: Ranking, label: str) -> dict[str, object]:
    """A row's ranks, and how far those of all rows agree."""
    place, agreed = ranking.places.get(label), ranking.agreement
    found: dict[str, object] = {"rank": place and place.rank, "rank_low": place and place.low}
    found |= {"rank_high": place and place.high, f"rank_of_reported_{ranking.name}": place and place.reported}
    found |= {"ranked": len(ranking.places), "spearman": agreed and agreed.spearman}
    found |= {"spearman_low": agreed and agreed.low, "spearman_high": agreed and agreed.high}
    return found | {"kendall_tau_b": agreed and agreed.kendall}


def _origin(table: Table) -> dict[str, str]:
    """What the whole table says of its images (of which lines, where not all have the same) and reported numbers."""
    about = table.definition
    changed = " ".join(about.changed)
    return {"images": "; ".join(table.data), "source": about.source, "protocol": about.protocol, "changed": changed}


def _pairs(values: Mapping[int, object]) -> str:
    """`0:91.2 1:91.4`."""
    return " ".join(f"{seed}:{value}" for seed, value in values.items())


def _spelt(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
