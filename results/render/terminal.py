"""A table for a terminal, as wide as it is."""

from __future__ import annotations

import re

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table as Rich
from rich.text import Text

from results.render.grid import Grid, Row, grid
from results.table import Table

_STYLES = {"better": "green", "worse": "red", "undecided": "yellow", "control: DIFFERS": "red", "other": "magenta"}
_STYLES |= {"cannot": "magenta", "mixed": "magenta", "identical": "magenta", "no runs": "dim", "same runs": "dim"}
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
        yield _table(made, options.max_width)
        yield ""
        yield from (Text(line, style="dim") for line in made.below)
        yield from (Text(f"({number}) {note}", style="dim") for number, note in enumerate(made.footnotes, 1))
        yield from (Text(f"warning: {warning}", style="yellow") for warning in made.warnings)


def _table(made: Grid, width: int) -> Rich:
    """Labels and verdicts are folded; numbers are broken where they may be, if there is no room beside them."""
    loose = [head in made.left for head in made.heads[1:]]
    room = width - sum(2 + _widest(column) for column, words in zip(_columns(made), loose, strict=True) if not words)
    breaks = _TIGHT if room < _WORDS else _ALWAYS
    table = Rich(box=None, pad_edge=False, header_style="bold")
    for head, words in zip(made.heads, [True, *loose], strict=True):
        text = head if words else _HEADS.sub("\n", head)
        table.add_column(
            text,
            justify="left" if words else "right",
            overflow="fold",
            no_wrap=not words,
            min_width=_LEAST if words else None,
        )
    verdict = made.heads.index("verdict") - 1
    for row in made.rows:
        cells = [cell if words else breaks.sub("\n", cell) for cell, words in zip(row.cells, loose, strict=True)]
        style = next((style for word, style in _STYLES.items() if cells[verdict].startswith(word)), "")
        table.add_row(_label(row), *(Text(cell, style if n == verdict else "") for n, cell in enumerate(cells)))
    return table


def _columns(made: Grid) -> list[list[str]]:
    """All lines of each column but the first."""
    heads = [_HEADS.sub("\n", head) for head in made.heads[1:]]
    cells = zip(heads, *([_ALWAYS.sub("\n", cell) for cell in row.cells] for row in made.rows), strict=True)
    return ["\n".join(column).split("\n") for column in cells]


def _widest(lines: list[str]) -> int:
    return max(map(len, lines))


def _label(row: Row) -> Text:
    marks = ",".join(map(str, row.marks))
    return Text.assemble(row.label, (f" ({marks})" if marks else "", "dim"))
