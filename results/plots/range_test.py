"""Loss over learning rate, with what is read from it."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from results.plots.style import COLOURS, INK, SOFT, canvas, heading, place, styled
from results.stats.range_test import Reading

_HOW = (
    "A point is the loss of a step. The line is smoothed over the steps, and ends where the loss exceeds four times "
    "its lowest or is not finite. The suggestion is a tenth of the learning rate at which the line is lowest."
)


@styled
def range_test(reading: Reading, title: str) -> Figure:
    """The picture of one range test."""
    figure = canvas(4.4)
    axes = place(figure, 0.7, 0.5, 7.9, 3.7)
    finite = np.isfinite(reading.losses)
    axes.scatter(reading.rates[finite], reading.losses[finite], s=9, color=SOFT, alpha=0.55, linewidths=0, zorder=2)
    axes.plot(reading.rates[: len(reading.smooth)], reading.smooth, color=COLOURS[0], linewidth=1.8, zorder=3)
    axes.set_xscale("log")
    behind = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
    axes.set_xlim(reading.rates[0], reading.rates[-1])
    _limits(axes, reading)
    for rate, colour, words, height in _marks(reading):
        axes.axvline(rate, color=colour, linewidth=1.2, linestyle=(0, (5, 1.5)), zorder=1)
        axes.annotate(
            words, (rate, height), (4, 0), xycoords=("data", "axes fraction"), textcoords="offset points", size=8,
            color=colour, va="top", zorder=4, bbox=behind,
        )  # fmt: skip
    axes.xaxis.set_major_formatter(FuncFormatter(lambda rate, _: f"{rate:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(axis="y", color="#eeeeee", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.set_xlabel("learning rate")
    axes.set_ylabel("training loss")
    notes = [note for note in (reading.trouble and f"No suggestion: {reading.trouble}", reading.remark) if note]
    heading(figure, title, "\n".join([_HOW, *(f"{note[0].upper()}{note[1:]}." for note in notes)]))
    return figure


def _marks(reading: Reading) -> list[tuple[float, str, str, float]]:
    if reading.lowest is None or reading.steepest is None or reading.suggestion is None:
        return []
    return [
        (reading.suggestion, COLOURS[1], f"suggested: {reading.suggestion:g}", 0.99),
        (reading.steepest, COLOURS[2], f"falls fastest: {reading.steepest:.2g}", 0.91),
        (reading.lowest, INK, f"lowest: {reading.lowest:.2g}", 0.83),
    ]


def _limits(axes: Axes, reading: Reading) -> None:
    """What is read fills the picture; where the loss explodes it leaves it."""
    shown = reading.losses[: len(reading.smooth)]
    shown = shown[np.isfinite(shown)]
    if not shown.size:
        return
    low, first = float(shown.min()), float(np.median(shown[:10]))
    high = min(float(shown.max()), first + 0.8 * (first - low) if first > low else np.inf)
    pad = 0.05 * (high - low) or 0.5
    axes.set_ylim(low - pad, high + pad)
