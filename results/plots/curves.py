"""Learning curves: every epoch, mean over seeds, baseline in every panel."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from results.plots.style import COLOURS, DASHES, INK, SOFT, Dash, canvas, heading, place, short, shorts, styled
from results.plots.words import caption, title
from results.tables.metrics import metric
from results.tables.table import Cell, Table

Numbers = npt.NDArray[np.float64]
_PANEL = 7  # arms in a panel, besides the baseline
_UP, _ACROSS = 2.9, 5.6  # inches of a panel
_HOW = (
    "A line is the mean over the finished seeds, its band one standard deviation to both sides (from three seeds on); "
    "two seeds are drawn one by one. The first epochs may lie outside the panel."
)


@styled
def curves(table: Table, frame: pd.DataFrame, name: str = "test_acc") -> Figure | None:
    """Learning curves of the lines with a finished seed; None if there are none.

    Args:
        table: Its lines, of which those that are one arm are drawn once.
        frame: As of `results.read.curves`: columns id, seed, epoch and the metric.
        name: The metric.
    """
    drawn = {cell.line.label: seeds for cell in table.cells if (seeds := paths(cell, frame, name)) is not None}
    cells = [cell for cell in table.cells if cell.line.label in drawn and cell.same_as is None]
    if not cells:
        return None
    bases = {cell.line.against for cell in table.cells}
    first = next((cell for cell in cells if cell.line.label in bases), None)
    others = [cell for cell in cells if cell is not first]
    size = math.ceil(len(others) / max(1, math.ceil(len(others) / _PANEL))) or 1
    panels = [others[n : n + size] for n in range(0, len(others), size)] or [[]]
    figure = canvas(len(panels) * (_UP + 0.35) + 0.2)
    names = dict(zip(drawn, shorts(list(drawn), 38), strict=True))
    low, high = span(drawn.values())
    for number, panel in enumerate(panels):
        axes = place(figure, 0.6, 0.45 + (len(panels) - 1 - number) * (_UP + 0.35), _ACROSS, _UP)
        axes.set_ylim(low, high)
        ends = [_arm(axes, drawn[c.line.label], COLOURS[i], DASHES[i]) for i, c in enumerate(panel)]
        if first is not None:
            ends.append(_arm(axes, drawn[first.line.label], INK, "-"))
        members = [*panel, *([first] if first else [])]
        _labels(axes, [names[c.line.label] for c in members], ends, [*COLOURS[: len(panel)], INK])
        axes.set_ylabel(metric(name).words.partition(" of the ")[0] + (", %" if name.endswith("_acc") else ""), size=8)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_axisbelow(True)
        axes.grid(axis="y", color="#eeeeee", linewidth=0.7)
    axes.set_xlabel("epoch")
    heading(figure, title(table, "learning curves"), caption(table, _how(table, len(cells))))
    return figure


def paths(cell: Cell, frame: pd.DataFrame, name: str) -> pd.DataFrame | None:
    """One column a finished seed, one row an epoch; None if there is nothing."""
    own = frame[(frame["id"] == cell.line.id) & frame["seed"].isin(list(cell.values))]
    if own.empty or name not in own:
        return None
    wide = own.pivot(index="epoch", columns="seed", values=name).dropna(how="all")
    return None if wide.empty else wide


def span(drawn: Collection[pd.DataFrame]) -> tuple[float, float]:
    """Limits of the y axis: all after the first fifth of the epochs, where curves still climb steeply."""
    late = [wide[wide.index > wide.index.max() * 0.2].to_numpy() for wide in drawn]
    bands = [edge for values in late if values.shape[1] > 2 for edge in _band(values)]
    values = np.concatenate([each.ravel() for each in (*late, *bands)])
    values = values[np.isfinite(values)]
    if not values.size:
        return 0.0, 1.0
    pad = 0.06 * float(np.ptp(values)) or 0.5
    return float(values.min()) - pad, float(values.max()) + pad


def _how(table: Table, count: int) -> str:
    apart = len(table.cells) - count
    verb = "is" if apart == 1 else "are"
    why = f" {apart} of the rows {verb} not drawn, for want of a finished seed or as the same runs as another row."
    return _HOW + (why if apart else "")


def _arm(axes: Axes, wide: pd.DataFrame, colour: str, dash: Dash) -> tuple[float, float]:
    """Draw an arm; returns where its curve ends."""
    epochs, values = wide.index.to_numpy(), wide.to_numpy()
    count = values.shape[1]
    mean = values.mean(axis=1)  # nan, a gap, where a seed has none
    if count == 2:
        axes.plot(epochs, values, color=colour, linestyle=dash, linewidth=0.9)
    else:
        axes.plot(epochs, mean, color=colour, linestyle=dash, linewidth=1.5, marker="." if len(epochs) < 3 else "")
    if count > 2:
        axes.fill_between(epochs, *_band(values), color=colour, alpha=0.13, linewidth=0)
    known = np.flatnonzero(np.isfinite(mean))
    last = known[-1] if known.size else -1
    return float(epochs[last]), float(np.nan_to_num(mean[last]))


def _band(values: Numbers) -> tuple[Numbers, Numbers]:
    """One standard deviation to both sides of the mean over seeds, the columns."""
    mean, std = values.mean(axis=1), values.std(axis=1, ddof=1)
    return mean - std, mean + std


def _labels(axes: Axes, labels: list[str], ends: list[tuple[float, float]], colours: Sequence[str]) -> None:
    """Names at the ends of their curves, moved apart, with a thin line to where they belong."""
    low, high = axes.get_ylim()
    right = axes.get_xlim()[1]
    gap = (high - low) / _UP * 0.17
    order = sorted(range(len(ends)), key=lambda n: ends[n][1])
    places = apart([ends[n][1] for n in order], gap, low, high)
    step = (axes.get_xlim()[1] - axes.get_xlim()[0]) * 0.03
    axes.set_xlim(axes.get_xlim()[0], right)
    for n, y in zip(order, places, strict=True):
        x, end = ends[n]
        axes.plot([x, right + step], [end, y], color=colours[n], linewidth=0.6, clip_on=False, alpha=0.7)
        axes.text(right + 1.3 * step, y, short(labels[n], 44), color=colours[n], size=8, va="center")
    axes.tick_params(colors=SOFT, labelcolor=INK)


def apart(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Ascending places at least `gap` apart, near those wanted (ascending too), within limits if there is room."""
    places = [max(low, min(high, y)) for y in wanted]
    for n in range(1, len(places)):
        places[n] = max(places[n], places[n - 1] + gap)
    if places and places[-1] > high:
        places[-1] = high
        for n in range(len(places) - 2, -1, -1):
            places[n] = min(places[n], places[n + 1] - gap)
    return places
