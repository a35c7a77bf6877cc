"""Write a picture as PNG and SVG: the same picture is the same bytes, and a file is whole at every moment."""

from __future__ import annotations

import io
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ablation.store.atomic import write_atomic
from results.plots.style import styled

DPI = 150
_PAD = 0.12  # inches of white around what is drawn
# Nothing that changes from day to day or from machine to machine.
_NOTHING: dict[str, dict[str, None]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None, "Format": None, "Type": None},
}


@styled
def render(figure: Figure, form: str) -> bytes:
    """The picture as `png` or `svg`. What sticks out of the figure, such as a long label, is in it."""
    FigureCanvasAgg(figure)
    memory = io.BytesIO()
    figure.savefig(memory, format=form, dpi=DPI, bbox_inches="tight", pad_inches=_PAD, metadata=dict(_NOTHING[form]))
    return memory.getvalue()


def save(figure: Figure, stem: Path) -> tuple[Path, Path]:
    """Write `stem.png` (150 dpi) and `stem.svg`; their folder is made. Returns both paths."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    png, svg = stem.with_name(f"{stem.name}.png"), stem.with_name(f"{stem.name}.svg")
    for path in (png, svg):
        write_atomic(path, render(figure, path.suffix[1:]))
    return png, svg
