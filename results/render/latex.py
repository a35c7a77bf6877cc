"""A table for a paper: LaTeX with booktabs."""

from __future__ import annotations

import re

from results.render.grid import CellRow, grid
from results.tables.table import Table

_SIGNS = {"\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
_SIGNS |= {sign: f"\\{sign}" for sign in "&%$#_"}
_SIGNS |= {"±": r"$\pm$", "<": "$<$", ">": "$>$", "|": r"\textbar{}", "`": r"\textasciigrave{}"}
_NUMBER = re.compile(r"(?<![\w.$-])[+-]\d+(\.\d+)?(?!\w)")  # not in 1e-6 or python -3x


def render(table: Table, best: bool = False) -> str:
    """A `table` environment: needs `\\usepackage{booktabs}`. What to run next is in comments."""
    made = grid(table, best)
    small = [*made.above, *made.below, *(f"Warning: {warning}" for warning in made.warnings)]
    notes = [f"\\textsuperscript{{{n}}} {escaped(note)}" for n, note in enumerate(made.footnotes, 1)]
    lines = [
        r"\begin{table}",
        r"\centering",
        f"\\caption{{{escaped(made.title)}}}",
        f"\\begin{{tabular}}{{{''.join('l' if head in made.left else 'r' for head in made.heads)}}}",
        r"\toprule",
        _line([escaped(head) for head in made.heads]),
        r"\midrule",
        *(_line([_label(row), *map(escaped, row.cells)]) for row in made.rows),
        r"\bottomrule",
        r"\end{tabular}",
        "",
        r"\begin{minipage}{\linewidth}\footnotesize",
        *(f"{line}\\par" for line in [*map(escaped, small), *notes]),
        r"\end{minipage}",
        r"\end{table}",
        *(f"% {line}" for line in made.next),
    ]
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """Text that LaTeX takes literally, in one paragraph; signed numbers get a real minus."""
    signs = "".join(_SIGNS.get(sign, sign) for sign in " ".join(text.split()))
    return _NUMBER.sub(lambda found: f"${found[0]}$", signs)


def _line(cells: list[str]) -> str:
    return " & ".join(cells) + r" \\"


def _label(row: CellRow) -> str:
    """The first cell: behind the end of a row, LaTeX takes `[` and `*` for arguments of that."""
    marks, label = ", ".join(map(str, row.marks)), escaped(row.label)
    label = f"{{{label[0]}}}{label[1:]}" if label.startswith(("[", "*")) else label
    return label + (f"\\textsuperscript{{{marks}}}" if marks else "")
