"""A table for a terminal, as wide as it is."""

from __future__ import annotations

import re

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table as Rich
from rich.text import Text

from results.render.grid import CellGrid, CellRow, grid
from results.tables.table import Table
from results.tables.verdict import Kind

_STYLES = {
    **{Kind.BETTER: "green", Kind.WORSE: "red", Kind.UNDECIDED: "yellow", Kind.DIFFERS: "red"},
    **dict.fromkeys((Kind.OTHER, Kind.LACKING, Kind.MIXED, Kind.IDENTICAL), "magenta"),
    **dict.fromkeys((Kind.NOTHING, Kind.SAME), "dim"),
}
_WORDS = 34  # characters for labels and verdicts, below which numbers take two lines
_LEAST = 11  # of each of the two
_HEADS = re.compile(r"(?<=,) | (?=[\[(]|best_|test_|raw_|on )")
_ALWAYS = re.compile(r", (?=[a-z]{3})")  # "92.39 ± 0.12, missing 2/4"
_TIGHT = re.compile(_ALWAYS.pattern + r"| (?=[±\[(/])")


def show(table: Table, console: Console, best: bool = False) -> None:
    """Print it; the lines to run next unbroken, for copying."""
    console.print(Terminal(table, best))
    for line in table.next:
        console.print(f"next: {line}", soft_wrap=True)


class Terminal:
    """What `rich` prints: as in Markdown, in the width there is, without the lines to run next."""

    def __init__(self, table: Table, best: bool = False) -> None:
        self._grid = grid(table, best)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        made = self._grid
        yield Text(made.title, style="bold")
        yield from (Text(line) for line in made.above)
        yield ""
        for chosen in _parts(made, options.max_width):
            yield _table(made, chosen, options.max_width)
            yield ""
        yield from (Text(line, style="dim") for line in made.below)
        yield from (Text(f"({number}) {note}", style="dim") for number, note in enumerate(made.footnotes, 1))
        yield from (Text(f"warning: {warning}", style="yellow") for warning in made.warnings)


def _parts(made: CellGrid, width: int) -> list[list[int]]:
    """The columns after the labels, in as many tables below each other as it takes."""
    parts: list[list[int]] = [[]]
    room = width - _LEAST
    for number, head in enumerate(made.heads[1:]):
        needed = 2 + (_LEAST if head in made.left else _widest(made, number, _TIGHT))
        if room < needed and parts[-1]:
            parts.append([])
            room = width - _LEAST
        parts[-1].append(number)
        room -= needed
    return parts


def _table(made: CellGrid, chosen: list[int], width: int) -> Rich:
    """Labels and verdicts are folded; numbers are broken where they may be, if there is no room beside them."""
    numbers = [number for number in chosen if made.heads[number + 1] not in made.left]
    room = width - sum(2 + _widest(made, number, _ALWAYS) for number in numbers)
    breaks = _TIGHT if room < _WORDS else _ALWAYS
    table = Rich(box=None, pad_edge=False, header_style="bold")
    table.add_column(overflow="fold", min_width=_LEAST)
    for number in chosen:
        head = made.heads[number + 1]
        if number in numbers:
            table.add_column(_HEADS.sub("\n", head), justify="right", no_wrap=True)
        else:
            table.add_column(head, overflow="fold", min_width=_LEAST)
    for row in made.rows:
        cells = [breaks.sub("\n", row.cells[n]) if n in numbers else _verdict(row, n) for n in chosen]
        table.add_row(_label(row), *cells)
    return table


def _widest(made: CellGrid, number: int, breaks: re.Pattern[str]) -> int:
    """Characters of a column."""
    texts = [_HEADS.sub("\n", made.heads[number + 1]), *(breaks.sub("\n", row.cells[number]) for row in made.rows)]
    return max(len(line) for text in texts for line in text.split("\n"))


def _verdict(row: CellRow, number: int) -> Text:
    return Text(row.cells[number], _STYLES.get(row.verdict, ""))


def _label(row: CellRow) -> Text:
    marks = ",".join(map(str, row.marks))
    return Text.assemble(row.label, (f" ({marks})" if marks else "", "dim"))
