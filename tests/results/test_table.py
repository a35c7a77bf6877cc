"""What a table says of runs, and what it refuses to say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ablation.errors import ConfigError
from results.stats.compare import compare
from results.tables.definition import Definition
from results.tables.table import Cell, Table, build
from tests.results.frames import arm, frame, line, run, table

BASE = [90.0, 90.1, 89.8, 90.2]
BETTER = [91.1, 91.0, 90.9, 91.2]
UNSURE = [90.4, 89.9, 90.3, 90.3]


def cells(made: Table) -> dict[str, Cell]:
    return {cell.line.label: cell for cell in made.cells}


def verdicts(definition: Definition, *rows: list[dict[str, Any]]) -> list[str]:
    return [cell.verdict.words for cell in build(definition, frame(*rows)).cells]


def test_a_table_is_paired_adjusted_and_says_what_would_settle_it() -> None:
    made = build(
        table(line("good"), line("so so")), frame(arm("base", BASE), arm("good", BETTER), arm("so so", UNSURE))
    )
    base, good, unsure = made.cells
    assert (base.verdict.words, good.verdict.words, unsure.verdict.words) == ("baseline", "better", "undecided")
    assert base.summary
    assert base.summary.mean == pytest.approx(90.025)
    assert base.comparison is None
    assert good.comparison == compare(dict(enumerate(BETTER)), dict(enumerate(BASE)))
    assert good.comparison
    assert unsure.comparison
    assert good.p_holm == pytest.approx(2 * good.comparison.p)
    assert unsure.p_holm == unsure.comparison.p
    assert good.needed is None
    assert unsure.needed is not None
    assert made.next == (
        f"python launch/run.py -m table=lab/made seeds={unsure.needed}"
        f"  # {3 * (unsure.needed - 4)} more trials, to settle so so",
    )
    assert made.complete
    assert made.data == ("digits, tested on 360 of 360 images, fingerprint eeb1db75d2887405",)
    assert base.budget == {
        "epochs": "10", "batch_size": "64", "train": "512 of 1437 (stratified)", "val": "none", "test": "360 of 360",
        "precision": "bf16",
    }  # fmt: skip
    assert base.cost["params"] == 75290


def test_of_a_loss_less_is_better() -> None:
    rows = [*arm("base", BASE), *arm("good", BETTER)]
    losses = frame([{**row, "test_loss": row["test_acc"] / 100} for row in rows])
    made = build(replace(table(line("good")), metric="test_loss"), losses)
    assert made.cells[1].verdict.words == "worse"


def test_a_metric_of_no_known_direction_is_refused() -> None:
    with pytest.raises(ConfigError, match="metric=lr"):
        build(replace(table(), metric="lr"), frame())


def test_seeds_without_a_value_are_shown_and_not_averaged_over() -> None:
    rows = [
        *arm("base", BASE),
        run("good", 0, 91.0),
        run("good", 1, status="FAILED", cause="oom"),
        run("good", 2, status="RUNNING"),
        run("bad", 0, status="KILLED"),
        run("bad", 1, float("inf")),
        *[run("base", seed, 1.0) for seed in (7, 9)],
    ]
    made = build(table(line("good"), line("bad"), line("none")), frame(rows))
    base, good, bad, none = made.cells
    assert base.summary
    assert base.summary.n == 4
    assert good.values == {0: 91.0}
    assert good.waiting == {1: "failed: oom", 2: "running", 3: "missing"}
    assert good.verdict.words == "no verdict (one pair)"
    assert bad.waiting == {0: "stopped", 1: "no test_acc", 2: "missing", 3: "missing"}
    assert (bad.verdict.words, bad.summary) == ("no test_acc", None)
    assert none.waiting == dict.fromkeys(range(4), "missing")
    assert made.warnings == ("finished trials of seeds that were not asked for are not used: base (seeds 7, 9)",)
    assert made.next == ("python launch/run.py -m table=lab/made seeds=4  # for 9 trials without a result",)
    assert not made.complete


def test_a_table_without_runs_is_whole() -> None:
    made = build(table(line("good")), frame())
    assert [cell.verdict.words for cell in made.cells] == ["no runs", "no runs"]
    assert made.data == ()


def test_a_line_that_cannot_be_composed_says_why() -> None:
    lacking = line("lenet", id=None, lacks="model=lenet: no such option")
    made = build(table(lacking), frame(arm("base", BASE)))
    assert made.cells[1].verdict.words == "cannot be run yet: model=lenet: no such option"
    assert made.next == ()
    assert not made.complete


def test_pairs_are_of_seeds_finished_on_both_sides() -> None:
    rows = [*arm("base", BASE)[1:], *arm("good", BETTER)[:3]]
    found = build(table(line("good")), frame(rows)).cells[1].comparison
    assert found
    assert (found.n, found.paired) == (2, True)


def test_without_common_seeds_it_says_that_nothing_is_paired() -> None:
    cell = build(table(line("good")), frame(arm("base", BASE)[:2], arm("good", BETTER)[2:])).cells[1]
    assert cell.comparison
    assert not cell.comparison.paired
    assert cell.marks == ("not paired: no seed is finished on both sides",)


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"data_pixels": "ffff"}, "seeds differ in data: fingerprint of the images eeb1db75d2887405, ffff"),
        ({"epochs": 20.0}, "seeds differ in budget: epochs 10, 20"),
        ({"precision": "fp32"}, "seeds differ in precision: bf16, fp32"),
    ],
)
def test_a_mean_over_unlike_runs_is_refused(other: dict[str, Any], why: str) -> None:
    mixed = [*arm("mixed", BETTER[:3]), run("mixed", 3, 91.0, **other)]
    made = cells(
        build(table(line("mixed"), line("good", "mixed")), frame(arm("base", BASE), mixed, arm("good", BETTER)))
    )
    assert (made["mixed"].summary, made["mixed"].comparison) == (None, None)
    assert made["mixed"].verdict.words == made["mixed"].refused == why
    assert made["good"].verdict.words == "no mean of mixed"


def test_machines_that_differ_are_warned_of() -> None:
    made = build(table(line("good")), frame(arm("base", BASE), arm("good", BETTER, torch="2.8", device="cuda")))
    assert made.cells[1].verdict.words == "better"
    assert made.warnings == (
        "the runs used 2 devices: cpu (1 threads), cuda",
        "the runs used 2 versions of torch: 2.9, 2.8",
    )


def test_code_that_differs_between_lines_is_warned_of() -> None:
    resnet, cutout = {"model._target_": "ablation.model.resnet"}, {"aug.cutout._target_": "cutout"}
    base = arm("base", BASE, **{"code.loop": "aaaa", "code.model": "1111"})
    edited = arm("good", BETTER, **{"code.loop": "bbbb", "code.model": "1111", "code.aug.cutout": "cccc"})
    other = arm("wide", BETTER, **{"code.loop": "aaaa", "code.model": "2222"})
    torn = [*arm("torn", BETTER[:3], **{"code.loop": "aaaa"}), run("torn", 3, 91.0, **{"code.loop": "bbbb"})]
    lines = [
        line("good", config={**resnet, **cutout}),
        line("wide", config={"model._target_": "mine.wide"}),  # is another model, so that other code is no wonder
        line("torn", config=resnet),
    ]
    made = build(table(*lines), frame(base, edited, other, torn))
    assert made.warnings == (
        "the runs used 2 versions of the code of loop: aaaa in base, wide, torn; bbbb in good, torn",
    )
    old = build(table(line("good")), frame(arm("base", BASE), arm("good", BETTER)))  # from before code was kept
    assert old.warnings == ()


def test_another_budget_is_refused_unless_the_line_says_so() -> None:
    long = arm("long", BETTER, epochs=20.0)
    told = "other budget: epochs 20 instead of 10"
    assert verdicts(table(line("long")), arm("base", BASE), long) == ["baseline", told]
    said = build(table(line("long", name="aug=long,epochs=20")), frame(arm("base", BASE), long)).cells[1]
    assert (said.verdict.words, said.marks) == ("better", (told,))
    assert verdicts(table(line("long")), arm("base", BASE), arm("long", BETTER, precision="fp32"))[1] == (
        "other budget: precision fp32 instead of bf16"
    )


def test_the_same_images_under_another_name_are_the_same() -> None:
    moved = [*arm("moved", BETTER[:2]), *(run("moved", s, BETTER[s], data_name="renamed") for s in (2, 3))]
    assert verdicts(table(line("moved")), arm("base", BASE), moved) == ["baseline", "better"]
    other = [*moved[:3], run("moved", 3, 91.0, data_name="other", data_pixels="f")]
    assert verdicts(table(line("moved")), arm("base", BASE), other)[1].startswith(
        "seeds differ in data: data set digits, renamed, other"
    )


def test_other_test_images_are_refused() -> None:
    base = arm("base", BASE)
    other = "other test images: "
    part = arm("part", BETTER, data_test="100 of 360 (first)", data_pixels="f")
    assert verdicts(table(line("part", config={"data.test_subset": 100})), base, part)[1] == (
        f"{other}test images 100 of 360 (first) instead of 360 of 360"
    )
    swapped = arm("swapped", BETTER, data_pixels="f")
    assert (
        verdicts(table(line("swapped")), base, swapped)[1]
        == f"{other}fingerprint of the images f instead of eeb1db75d2887405"
    )
    # Fewer training images change the fingerprint, but not what is tested on.
    less = arm("less", BETTER, data_train="100 of 1437", data_pixels="f")
    asked = line("less", name="data.subset=100", config={"data.subset": 100})
    cell = build(table(asked), frame(base, less)).cells[1]
    assert (cell.verdict.words, cell.marks) == (
        "better",
        ("other budget: training images 100 of 1437 instead of 512 of 1437 (stratified)",),
    )


def test_one_arm_under_two_names_and_arms_that_are_bitwise_equal() -> None:
    lines = [line("again", id="base"), line("good"), line("good too", id="good"), line("dead")]
    rows = [arm("base", BASE), arm("good", BETTER), arm("dead", BASE)]
    made = build(table(*lines), frame(*rows))
    assert [cell.verdict.brief for cell in made.cells] == [
        "baseline", "same runs as base", "better", "same runs as good", "identical",
    ]  # fmt: skip
    assert [cell.same_as for cell in made.cells] == [None, "base", None, "good", None]
    good = made.cells[2]
    assert good.comparison
    assert good.p_holm == good.comparison.p, "one comparison is left"


def test_equal_accuracies_of_two_trainings_are_a_tie_and_not_identical() -> None:
    rows = [{**row, "train_loss": row["test_acc"] / 100} for row in arm("base", BASE)]
    other = [{**row, "id": "other", "train_loss": row["test_acc"] / 101} for row in rows]
    same = [{**row, "id": "same"} for row in rows]
    made = build(table(line("other", flags=("control",)), line("same")), frame(rows, other, same))
    assert [cell.verdict.brief for cell in made.cells[1:]] == ["control: tie", "identical"]


def test_controls_are_not_adjusted_for() -> None:
    lines = [line("tie", flags=("control",)), line("off", flags=("control",)), line("good")]
    made = build(table(*lines), frame(arm("base", BASE), arm("tie", UNSURE), arm("off", BETTER), arm("good", BETTER)))
    assert [cell.verdict.words for cell in made.cells[1:]] == ["control: tie", "control: DIFFERS", "better"]
    good = made.cells[3]
    assert good.comparison
    assert good.p_holm == good.comparison.p


def test_lines_may_be_against_others_or_none() -> None:
    lines = [line("good", against=None), line("better", against="good"), line("alone", against=None)]
    made = build(table(*lines), frame(*(arm(id_, BETTER) for id_ in ("base", "good", "better", "alone"))))
    assert [cell.verdict.brief for cell in made.cells] == ["not compared", "baseline", "identical", "not compared"]
    with pytest.raises(ConfigError, match="good: against=nobody: no row has this label"):
        build(table(line("good", against="nobody")), frame())


def test_more_seeds_keep_those_that_there_are() -> None:
    rows = [[{**row, "seed": row["seed"] + 2} for row in part] for part in (arm("base", BASE), arm("so so", UNSURE))]
    lines = tuple(replace(each, seeds=(2, 3, 4, 5)) for each in table(line("so so")).lines)
    (command,) = build(replace(table(), lines=lines), frame(*rows, [run("base", 0, 90.0)])).next
    seeds, _, note = command.partition("seeds=")[2].partition("  # ")
    number = build(replace(table(), lines=lines), frame(*rows)).cells[1].needed
    assert number is not None
    assert seeds == str(number), "0 and 1 are the lowest others"
    assert note == f"{2 * (number - 4) - 1} more trials, to settle so so"
    kept = [replace(each, seeds=(2, 3, 4, 99)) for each in lines]
    rows = [[{**row, "seed": {5: 99}.get(row["seed"], row["seed"])} for row in part] for part in rows]
    (command,) = build(replace(table(), lines=tuple(kept)), frame(*rows)).next
    listed = command.partition("'seeds=[")[2].partition("]'")[0].split(",")
    assert listed == [*map(str, range(number - 1)), "99"]
