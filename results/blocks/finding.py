"""What the runs say of one line of a table, in a sentence that may stand in a text."""

from __future__ import annotations

from ablation.build import near
from ablation.errors import ConfigError
from results.render import text
from results.tables.metrics import Metric, metric
from results.tables.table import Cell, Table
from results.tables.trials import counted
from results.tables.verdict import Kind

_OF_CONTROLS = {
    Kind.TIE: "a tie, as it has to be for a control",
    Kind.DIFFERS: "it differs, which a control must not",
}


def sentence(table: Table, label: str) -> str:
    """`mixup 0.3: -1.30 points [-2.10, -0.50] against no mixup, 4 paired seeds, 10 epochs on 10000 images: worse`.

    Raises:
        ConfigError: the table has no such row.
    """
    cells = {cell.line.label: cell for cell in table.cells}
    if label not in cells:
        raise ConfigError(f"{table.definition.name} has no row {label}; {near(label, cells)}")
    return f"{label}: {_found(cells[label], metric(table.definition.metric))}"


def _found(cell: Cell, shown: Metric) -> str:
    if cell.line.id is None:
        return f"cannot be run yet ({cell.line.lacks})"
    if not cell.values and not cell.refused:
        never = set(cell.waiting.values()) == {"missing"}
        return "has not been run" if never else f"has no result ({text.lacking(cell)})"
    if cell.comparison is None:
        own = text.measured(cell, shown)
        return ", ".join(filter(None, [own, *_circumstances(cell)])) + (
            f": {cell.verdict.words}" if cell.verdict.words else ""
        )
    told = [f"{_difference(cell, shown)} against {cell.line.against}", _pairs(cell), *_circumstances(cell)]
    return ", ".join(filter(None, told)) + (f": {_verdict(cell)}" if _verdict(cell) else "")


def _difference(cell: Cell, shown: Metric) -> str:
    said = text.difference(cell, shown)
    number, space, interval = said.partition(" ")
    return f"{number} points{space}{interval}" if shown.name.endswith("_acc") else f"{said} {shown.name}"


def _pairs(cell: Cell) -> str:
    """How many seeds, and of how many; the p value."""
    assert cell.comparison is not None
    n = cell.comparison.n
    kind = "paired" if cell.comparison.paired else "unpaired"
    asked = f" of {len(cell.line.seeds)}" if n < len(cell.line.seeds) else ""
    return f"{n}{asked} {kind} seed{'s' * (n != 1 or bool(asked))}{_probability(cell)}"


def _probability(cell: Cell) -> str:
    p = text.p_value(cell).strip("()")
    if not p:
        return ""
    return f", p {p if p.startswith('<') else f'= {p}'}" + ("" if text.raw(cell) else " adjusted by Holm")


def _verdict(cell: Cell) -> str:
    """In full: a sentence has no footnotes."""
    if cell.verdict.kind is Kind.UNDECIDED and cell.needed:
        return f"undecided, and {cell.needed} seeds would settle a difference of this size"
    return _OF_CONTROLS.get(cell.verdict.kind, cell.verdict.words)


def _circumstances(cell: Cell) -> list[str]:
    """The budget in words."""
    epochs, train = cell.budget.get("epochs"), cell.budget.get("train")
    if not epochs:
        return []
    return [f"{epochs} epochs" + (f" on {counted(train)}" if train else "")]
