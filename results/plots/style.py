"""How all pictures look: colours that colour-blind readers tell apart, marks that survive a black-and-white printer."""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK, SOFT, FAINT = "#1a1a1a", "#666666", "#d9d9d9"
# Okabe and Ito (2008), without its yellow, which is lost on white paper.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A5195")
Dash = str | tuple[float, tuple[float, ...]]
DASHES: tuple[Dash, ...] = (
    "-",
    (0, (5, 1.5)),
    (0, (1.2, 1.2)),
    (0, (6, 1.5, 1.2, 1.5)),
    (0, (9, 3)),
    (0, (3, 1, 1, 1, 1, 1)),
    "-",
)
WIDTH = 9.0  # inches of a picture, captions included
_LETTER = 0.061  # inches of a letter of a caption, about
P = ParamSpec("P")
R = TypeVar("R")
_RC: dict[str, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same letters everywhere
    "font.size": 9,
    "text.parse_math": False,  # a label may hold a dollar
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "svg.fonttype": "none",  # text stays text: it can be found and selected
    "svg.hashsalt": "ablation",
}


def styled(draw: Callable[P, R]) -> Callable[P, R]:
    """Run a function under the house style, whatever the reader's matplotlibrc says; nothing is left changed."""

    @wraps(draw)
    def inner(*args: P.args, **kwargs: P.kwargs) -> R:
        with matplotlib.style.context(["default", _RC]), warnings.catch_warnings():
            # An SVG shows any script in the reader's fonts; a PNG shows boxes for what DejaVu Sans lacks.
            warnings.filterwarnings("ignore", message="Glyph .* missing from font")
            return draw(*args, **kwargs)

    return inner


def canvas(height: float, width: float = WIDTH) -> Figure:
    """An empty Figure, in inches. What sticks out of it is kept when it is saved."""
    return Figure(figsize=(width, height))


def place(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Axes at a place in inches, from the lower left corner."""
    across, up = figure.get_size_inches()
    return figure.add_axes((left / across, bottom / up, width / across, height / up))


def short(label: str, most: int = 44) -> str:
    """One line of at most `most` characters; what is cut is cut in the middle, where overrides differ least."""
    line = " ".join("".join(c if c.isprintable() else " " for c in label).split())
    if len(line) <= most:
        return line
    head = (most - 1) * 3 // 5
    return f"{line[:head]}…{line[len(line) - (most - 1 - head) :]}"


def shorts(labels: list[str], most: int = 44) -> list[str]:
    """Short labels that still differ: those that would be the same are numbered."""
    cut = [short(label, most) for label in labels]
    return [f"{c} ({n + 1})" if cut.count(c) > 1 else c for n, c in enumerate(cut)]


def heading(figure: Figure, title: str, caption: str) -> None:
    """A title over the picture and a caption under it, both wrapped; they grow away from it."""
    across, up = figure.get_size_inches()
    most = int(across / _LETTER)
    figure.text(
        0.02,
        1 + 0.08 / up,
        textwrap.fill(short(title, 400), most * 5 // 8),
        size=11,
        weight="bold",
        color=INK,
        va="bottom",
    )
    lines = [textwrap.fill(line, most) for line in caption.splitlines()]
    figure.text(0.02, -0.08 / up, "\n".join(lines), size=7.5, color=SOFT, va="top", linespacing=1.35)
