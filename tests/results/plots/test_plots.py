"""Pictures of tables that have everything that can be wrong with one."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.markers import MarkerStyle
from matplotlib.path import Path as Drawn
from matplotlib.text import Text
from PIL import Image

from ablation.errors import ConfigError
from results.plots.axes import axes
from results.plots.cost import cost, front
from results.plots.curves import apart, curves, paths
from results.plots.forest import compares, differences, forest, reach, reported
from results.plots.heatmap import heatmap
from results.plots.save import render, save
from results.plots.style import short, shorts
from results.tables.definition import Line
from results.tables.table import Table, build
from tests.results.frames import arm, frame, line, run, table

LONG = "label smoothing that goes on and on, $x_1$ < 3 & more, until nobody can read it"


def odd() -> Table:
    """Lines that are better, odd, long, running, failed, mixed, far off, and not there."""
    lines = [
        line("up", reported={"test_acc": (94.0,)}),
        line(LONG, id="long"),
        line("few"),
        line("mixed"),
        line("collapsed"),
        line("never", reported={"test_acc": (95.5, 96.5)}),
        Line("lenet", None, (0, 1), against="base", lacks="model=lenet: no such option"),
        line("again", id="up"),
    ]
    rows = [
        arm("base", [90.0, 90.2, 90.1, 89.9]),
        arm("up", [91.0, 91.3, 91.1, 91.0], seconds=5.0),
        arm("long", [90.1, 90.1, 90.2, 89.9], seconds=4.0),
        [run("few", 0, 90.5), run("few", 1, status="FAILED", cause="oom"), run("few", 2, status="RUNNING")],
        [run("mixed", 0, 90.0), run("mixed", 1, 91.0, epochs=400.0)],
        arm("collapsed", [10.0, 10.1, 10.0, 10.2], seconds=1.0),
    ]
    definition = table(*lines)
    base = Line("base", "base", (0, 1, 2, 3), name="baseline", reported={"test_acc": (93.0,)})
    definition = type(definition)(**{**vars(definition), "lines": (base, *definition.lines[1:])})
    return build(definition, frame(*rows))


def points(made: Table, epochs: int = 4) -> pd.DataFrame:
    rows = [
        (cell.line.id, seed, epoch, value * epoch / epochs)
        for cell in made.cells
        for seed, value in cell.values.items()
        for epoch in range(1, epochs + 1)
    ]
    return pd.DataFrame(rows, columns=["id", "seed", "epoch", "test_acc"]).drop_duplicates()


def words(svg: bytes) -> str:
    """All text of an SVG."""
    return "\n".join(ElementTree.fromstring(svg).itertext())


def test_a_forest_plot_says_everything_of_every_line() -> None:
    said = words(render(forest(odd()), "svg"))
    for text in (
        "up",
        "better",
        "collapsed",
        "worse",
        "seed 1 failed: oom",
        "seed 2 running",
        "no verdict (one pair)",
        "seeds differ in budget",
    ):
        assert text in said, text
    assert "model=lenet: no such option" in said
    assert "same runs as up" in said
    assert "seeds 0, 1, 2, 3 missing" in said
    assert "$x_1$" not in said, "the long label is cut in its middle"
    assert "n = 1 to 4 seeds" in said
    assert "10 epochs" in said
    assert "360 of 360" in said
    assert "last epoch" in said
    assert "+1.05 [" in said


def test_differences_are_those_of_the_pairs() -> None:
    made = odd()
    cells = {cell.line.label: cell for cell in made.cells}
    assert differences(cells["up"], cells["base"]) == pytest.approx([1.0, 1.1, 1.0, 1.1])
    assert reported(cells["up"], cells["base"], "test_acc") == pytest.approx(1.0)
    assert reported(cells["never"], cells["base"], "test_acc") is None, "two numbers may be rounds"
    assert reported(cells["base"], None, "test_acc") is None
    assert 3 < reach(made.cells, "test_acc") < 20, "one that collapsed must not squash the others"
    assert compares(made)
    assert not compares(build(table(), frame(arm("base", [90.0]))))


def shown(figure: Figure) -> tuple[float, list[tuple[float, float, str]], list[tuple[float, float, float]]]:
    """Of a forest plot: its limit, the marks as (x, y, shape), the lines as (x0, x1, y). `<` and `>` are arrows."""
    plot = figure.axes[0]
    arrows = {mark: MarkerStyle(mark).get_transform().transform_path(MarkerStyle(mark).get_path()) for mark in "<>"}
    marks = []
    for each in plot.collections:
        shape = each.get_paths()[0].vertices
        which = [mark for mark, path in arrows.items() if np.array_equal(shape, path.vertices)]
        marks += [(float(x), float(y), which[0] if which else "o") for x, y in each.get_offsets()]
    lines = [each for each in plot.lines if len(set(each.get_ydata())) == 1]
    return plot.get_xlim()[1], marks, [(*map(float, line.get_xdata()), float(line.get_ydata()[0])) for line in lines]


def test_a_forest_plot_shows_every_interval_and_dot_whole_or_with_an_arrow() -> None:
    rows = [arm("base", [90.0, 91.0, 89.0]), arm("a", [90.2, 90.9, 88.0]), arm("b", [90.0, 91.5, 89.1])]
    rows += [[run("two", 0, 91.0), run("two", 1, 89.5)]]
    whole = build(table(*map(line, ["a", "b", "two"])), frame(*rows))
    limit, marks, lines = shown(forest(whole))
    for row, cell in enumerate(whole.cells[1:], 1):
        found = cell.comparison
        assert found is not None
        assert [pytest.approx([found.low, found.high])] == [ends for *ends, y in lines if y == row], "it is whole"
        assert -limit <= found.low < found.high <= limit
        dots = [x for x, y, shape in marks if y == row - 0.24]
        assert dots == pytest.approx(differences(cell, whole.cells[0]))
    assert not {"<", ">"} & {shape for *_, shape in marks}
    assert "beyond" not in words(render(forest(whole), "svg"))

    rows += [arm("c", [90.1, 91.0, 89.0]), arm("far", [10.0, 11.0, 85.0])]
    cut = build(table(*map(line, ["a", "b", "two", "c", "far"])), frame(*rows))
    limit, marks, lines = shown(forest(cut))
    assert limit < 80, "one row does not squash the others"
    assert all(abs(x) <= limit for x, *_ in marks)
    assert all(abs(x) <= limit for *ends, _ in lines for x in ends)
    far = [(x, y, shape) for x, y, shape in marks if round(y) == 5]
    assert [shape for _, y, shape in far if y == 5 - 0.24] == ["<", "<", "o"], "a dot is an arrow, or in its place"
    assert {shape for x, y, shape in far if y == 5} == {"<", ">"}, "the interval goes on to both sides"
    assert "An arrow at the border stands for" in " ".join(words(render(forest(cut), "svg")).split())


def test_names_in_the_picture_of_costs_lie_on_no_line() -> None:
    generator = np.random.default_rng(0)
    names = ["base", *(f"trick number {n}" for n in range(7))]
    rows = [arm(n, list(90 + generator.normal(0, 0.8, 3)), seconds=20 + 8 * generator.random()) for n in names]
    figure = cost(build(table(*map(line, names[1:])), frame(*rows)))
    assert figure is not None
    draw, plot = FigureCanvasAgg(figure).get_renderer(), figure.axes[0]  # type: ignore[no-untyped-call]
    figure.draw_without_rendering()
    boxes = {text.get_text(): Text.get_window_extent(text, draw) for text in plot.texts}
    assert set(boxes) == set(names)
    bars = [path for each in plot.collections if isinstance(each, LineCollection) for path in each.get_paths()]
    stair = next(each for each in plot.lines if each.get_drawstyle() == "steps-post")
    xs, ys = np.repeat(stair.get_xdata(), 2)[1:], np.repeat(stair.get_ydata(), 2)[:-1]
    assert len(bars) == len(names)
    for path in (*bars, Drawn(np.column_stack([xs, ys]))):
        drawn = plot.transData.transform_path(path)
        assert [name for name, box in boxes.items() if drawn.intersects_bbox(box, filled=False)] == []
    ordered = list(boxes.values())
    assert not any(one.overlaps(other) for n, one in enumerate(ordered) for other in ordered[:n])


def test_curves_are_of_finished_seeds_and_leave_nobody_out_silently() -> None:
    made = odd()
    figure = curves(made, points(made))
    assert figure is not None
    said = words(render(figure, "svg"))
    for text in ("base", "up", "few", "collapsed", "not drawn", "epoch"):
        assert text in said
    few = next(cell for cell in made.cells if cell.line.label == "few")
    wide = paths(few, points(made), "test_acc")
    assert wide is not None
    assert list(wide.columns) == [0]
    assert curves(made, points(made).iloc[:0]) is None
    one = curves(build(table(), frame(arm("base", [90.0]))), points(made))
    assert one is not None


def test_the_band_of_a_curve_lies_in_its_panel() -> None:
    made = build(table(line("a")), frame(arm("base", [50.0, 90.0, 90.0]), arm("a", [60.0, 60.0, 60.0])))
    figure = curves(made, points(made))
    assert figure is not None
    low, high = figure.axes[0].get_ylim()
    bands = [each.get_paths()[0].vertices for each in figure.axes[0].collections]
    ends = [y for band in bands for x, y in band if x == 4]
    assert max(ends) > 99, "a mean of 77 and a deviation of 23"
    assert low < min(ends) < max(ends) < high


def test_many_arms_take_several_panels_and_all_are_named() -> None:
    names = [f"arm {n}" for n in range(30)]
    rows = [arm(name, [90 + n / 10, 90.5]) for n, name in enumerate(["base", *names])]
    made = build(table(*map(line, names)), frame(*rows))
    for figure in (curves(made, points(made)), cost(made), forest(made)):
        assert figure is not None
        said = words(render(figure, "svg"))
        assert all(name in said for name in names)
    figure = curves(made, points(made))
    assert figure is not None
    assert len(figure.axes) == 5


def test_labels_are_moved_apart() -> None:
    assert apart([1.0, 1.0, 1.0], 0.5, 0.0, 10.0) == [1.0, 1.5, 2.0]
    assert apart([9.9, 10.0, 12.0], 1.0, 0.0, 10.0) == [8.0, 9.0, 10.0]
    assert short("a\nb\tc") == "a b c"
    assert len(short("x" * 99, 20)) == 20
    assert shorts(["x" * 30 + "a" * 30, "x" * 30 + "b" + "a" * 29], 20) == [
        "xxxxxxxxxxx…aaaaaaaa (1)",
        "xxxxxxxxxxx…aaaaaaaa (2)",
    ]


def test_the_front_is_what_no_other_beats() -> None:
    assert front([3, 1, 2, 4], [92, 90, 89, 92]) == [1, 0]
    assert front([1, 1], [90, 91]) == [1]
    assert front([1, 2], [0.3, 0.2], more=False) == [0, 1]
    said = words(render(cost(odd()), "svg"))  # type: ignore[arg-type]
    assert "seconds of training" in said
    assert "only between trainings on the same machine" in said
    assert cost(build(table(), frame(arm("base", [90.0])))) is None


def grid(*skip: tuple[str, str]) -> Table:
    lines, rows = [], []
    for rate in ("0.1", "0.05"):
        for aug in ("none", "cutout", "mixup"):
            config = {"optim.lr": float(rate), "epochs": 10}
            if aug != "none":
                config |= {f"aug.{aug}._target_": f"ablation.aug.{aug}.{aug}", f"aug.{aug}.p": 1}  # type: ignore[dict-item]
            if (rate, aug) not in skip:
                lines.append(line(f"{aug} {rate}", against=None, config=config))
                rows.append(arm(f"{aug} {rate}", [90.0, 91.0] if aug != "mixup" else []))
    definition = table(*lines)
    return build(type(definition)(**{**vars(definition), "lines": definition.lines[1:]}), frame(*rows))


def test_the_two_axes_are_found_and_what_lacks_is_hatched() -> None:
    made = grid(("0.05", "cutout"))
    found = axes([cell.line for cell in made.cells])
    assert found is not None
    assert {axis.name: axis.values for axis in found} == {
        "optim.lr": ("0.05", "0.1"),
        "aug": ("none", "cutout", "mixup"),
    }
    said = words(render(heatmap(made), "svg"))
    assert "90.50 ± 0.71" in said
    assert "n 2/4" in said
    assert "missing" in said
    assert "not asked for" in said


@pytest.mark.parametrize(
    "configs",
    [
        [{"a": 1}, {"a": 2}, {"a": 3}],
        [{"a": 1, "b": 1}, {"a": 2, "b": 1}, {"a": 1, "b": 2}],  # one at a time
        [{"a": 1, "b": 1}, {"a": 2, "b": 2}, {"a": 3, "b": 3}],  # together
        [{"a": i, "b": j, "c": k} for i in (0, 1) for j in (0, 1) for k in (0, 1)],
        [],
    ],
)
def test_what_is_no_grid_of_two_axes_has_no_heat_map(configs: list[dict[str, int]]) -> None:
    lines = [line(f"x{n}", against=None, config=config) for n, config in enumerate(configs)]
    assert axes(lines) is None
    with pytest.raises(ConfigError, match="not a grid of two"):
        heatmap(build(table(*lines), frame()))


def test_the_same_picture_is_the_same_bytes_whatever_the_readers_style(tmp_path: Path) -> None:
    made = odd()
    png, svg = save(forest(made), tmp_path / "deep" / "forest.of.it")
    assert png.name == "forest.of.it.png"
    with matplotlib.rc_context({"font.size": 30, "savefig.dpi": 10, "svg.fonttype": "path", "axes.facecolor": "red"}):
        again = forest(made)
        assert render(again, "png") == png.read_bytes()
        assert render(again, "svg") == svg.read_bytes() == render(forest(made), "svg")
    assert b"date" not in svg.read_bytes()[:2000]
    assert sorted(path.name for path in png.parent.iterdir()) == [png.name, svg.name]


def test_pictures_are_not_empty_and_hold_any_script() -> None:
    made = build(table(line("多い & <b>")), frame(arm("base", [1.0, 2.0]), arm("多い & <b>", [1.0, 2.5])))
    for figure in (forest(made), curves(made, points(made)), cost(made)):
        assert figure is not None
        pixels = np.asarray(Image.open(io.BytesIO(render(figure, "png"))).convert("L"))
        assert pixels.shape[1] > 800
        assert 0.005 < (pixels < 200).mean() < 0.5
        assert "多い & <b>" in words(render(figure, "svg"))
