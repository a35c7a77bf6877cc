"""What may be compared with what, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from scipy import stats

from ablation.errors import ConfigError
from results.render import footnotes
from results.tables.metrics import metric
from results.tables.table import Cell, build
from results.tables.verdict import Kind
from tests.results.frames import arm, frame, line, run, table

BASE = [90.0, 90.1, 89.8, 90.2]
BETTER = [91.1, 91.0, 90.9, 91.2]
PIXELS = "fingerprint of the images f instead of eeb1db75d2887405"


def second(own: dict[str, Any], asked: dict[str, Any], metric: str = "test_acc", **base: Any) -> Cell:
    """A line that is better, whose runs have these words and whose configuration asks for this."""
    made = replace(table(line("good", config=asked, name=",".join(asked))), metric=metric)
    return build(made, frame(arm("base", BASE, **base), arm("good", BETTER, **own))).cells[1]


@pytest.mark.parametrize("asked", [{"data.norm": "imagenet"}, {"data.view": "none"}, {"data.path": "b"}, {"epochs": 9}])
def test_a_key_that_takes_the_same_images_does_not_excuse_others(asked: dict[str, Any]) -> None:
    assert second({"data_pixels": "f"}, asked).verdict.words == f"other test images: {PIXELS}"
    assert second({"data_pixels": "f"}, {**asked, "data.path": "b", "data.val": 5}).verdict.words == (
        f"other test images: {PIXELS}"
    )
    assert second({}, asked).verdict.words == "better"


def test_a_key_that_takes_other_images_excuses_the_fingerprint_but_not_the_number_tested() -> None:
    for key in ("subset", "val", "split_seed", "size"):
        assert second({"data_pixels": "f"}, {f"data.{key}": 1}).verdict.words == "better", key
    assert second({"data_encoding": "64x64x3 uint8"}, {"data.size": 64}).verdict.words == "better"
    larger = second({"data_encoding": "64x64x3 uint8"}, {"data.subset": 1})
    assert (larger.verdict.kind, larger.verdict.brief) == (Kind.OTHER, "other test images")
    assert larger.verdict.reason.startswith("encoding ")
    fewer = second({"data_test": "9 of 360"}, {"data.test_subset": 9})
    assert fewer.verdict.words.startswith("other test images: test images 9")


@pytest.mark.parametrize(
    ("word", "why"),
    [
        ({"precision": ""}, "seeds differ in precision: bf16, unknown"),
        ({"data_pixels": None}, "seeds differ in data: fingerprint of the images eeb1db75d2887405, unknown"),
        ({"data_test": float("nan")}, "seeds differ in data: test images 360 of 360, unknown"),
        ({"epochs": float("nan")}, "seeds differ in budget: epochs 10, unknown"),
    ],
)
def test_a_word_that_some_runs_lack_is_a_word_like_another(word: dict[str, Any], why: str) -> None:
    rows = [*arm("base", BASE[:3]), run("base", 3, 90.0, **word)]
    (cell,) = build(table(), frame(rows)).cells
    assert (cell.refused, cell.verdict.words, cell.summary) == (why, why, None)
    nobody = build(table(), frame([run("base", seed, 90.0, **word) for seed in range(4)])).cells[0]
    assert (nobody.refused, nobody.verdict.words) == ("", "not compared")


@pytest.mark.parametrize("lost", [float("nan"), None])
def test_equal_numbers_without_losses_are_not_called_identical(lost: float | None) -> None:
    rows = [arm("base", BASE, train_loss=lost), arm("good", BASE, train_loss=lost)]
    cell = build(table(line("good")), frame(*rows)).cells[1]
    assert cell.verdict.words == "undecided"
    assert cell.comparison
    assert not cell.comparison.identical
    rows[0] = arm("base", BASE, train_loss=0.5)
    assert build(table(line("good")), frame(*rows)).cells[1].verdict.words == "undecided"
    rows[1] = arm("good", BASE, train_loss=0.5)
    assert build(table(line("good")), frame(*rows)).cells[1].verdict.kind is Kind.IDENTICAL


def test_one_arm_against_two_baselines_is_compared_twice_and_counted_twice() -> None:
    lines = [line("good"), line("other"), line("good again", "other", id="good"), line("and again", id="good")]
    lines += [line("its own", "good again", id="good")]
    other = [value + 0.5 for value in (90.2, 89.7, 90.0, 90.1)]
    made = build(table(*lines), frame(arm("base", BASE), arm("good", BETTER), arm("other", other))).cells
    assert [cell.verdict.words for cell in made[1:2]] == ["better"]
    again = made[3]
    assert (again.same_as, again.line.against) == (None, "other")
    assert again.comparison
    assert again.comparison.diff == pytest.approx(sum(BETTER) / 4 - sum(other) / 4)
    assert sum(cell.p_holm == cell.p_holm for cell in made) == 3
    assert [cell.verdict.words for cell in made[4:]] == ["same runs as good", "same runs as good"]


def test_a_difference_over_fewer_pairs_than_a_mean_says_so() -> None:
    few = build(table(line("good")), frame(arm("base", BASE[:2]), arm("good", BETTER))).cells[1]
    assert few.marks == ("the difference is over the seeds finished on both sides: 0, 1",)
    one = build(table(line("good")), frame(arm("base", BASE)[2:], arm("good", BETTER)[:3])).cells[1]
    assert (one.verdict.words, one.marks) == (
        "no verdict (one pair)",
        ("the difference is over the seed finished on both sides: 2",),
    )
    assert build(table(line("good")), frame(arm("base", BASE[:2]), arm("good", BETTER[:2]))).cells[1].marks == ()


def test_students_with_draws_of_their_own_are_compared_unpaired() -> None:
    """Only sides whose random numbers are the same are pairs: neither has a teacher, or both have the same one."""
    taught = {name: {"teacher": name, "draws": "own"} for name in ("a", "b")}
    alike = {"teacher": "a"}  # whose draws are the seed's

    def compared(own: dict[str, Any], other: dict[str, Any]) -> Cell:
        lines = [line("other", config=other), line("good", "other", config=own)]
        return build(table(*lines), frame(arm("base", BASE), arm("other", BASE), arm("good", BETTER))).cells[2]

    mark = "not paired, because the random numbers of a student are derived from its teacher too"
    for own, other in ((taught["a"], {}), ({}, taught["a"]), (taught["a"], taught["b"]), (taught["a"], alike)):
        cell = compared(own, other)
        assert cell.comparison
        assert (cell.comparison.paired, cell.comparison.n, cell.marks) == (False, 4, (mark,))
        welch = stats.ttest_ind(BETTER, BASE, equal_var=False)
        interval = welch.confidence_interval()
        assert (cell.comparison.p, cell.comparison.low, cell.comparison.high) == pytest.approx(
            (welch.pvalue, interval.low, interval.high)
        )
    for own, other in (({}, {}), (taught["a"], taught["a"]), (alike, {})):
        cell = compared(own, other)
        assert cell.comparison
        assert (cell.comparison.paired, cell.marks) == (True, ())


def test_unpaired_sides_use_all_of_their_seeds() -> None:
    lines = line("good", config={"teacher": "a", "draws": "own"})
    cell = build(table(lines), frame(arm("base", BASE), arm("good", BETTER)[2:])).cells[1]
    assert cell.comparison
    assert cell.comparison.n == 2
    assert cell.comparison.diff == pytest.approx(sum(BETTER[2:]) / 2 - sum(BASE) / 4)


def test_no_verdict_begins_with_a_label() -> None:
    mixed = [*arm("better", BETTER[:3]), run("better", 3, 91.0, epochs=20.0)]
    lines = [line("better"), line("control", "better"), line("nothing"), line("worse", "nothing")]
    made = build(table(*lines), frame(arm("base", BASE), mixed, arm("control", BETTER), arm("worse", BASE))).cells
    assert [cell.verdict.words for cell in made[2:]] == ["no mean of better", "no runs", "no runs of nothing"]


@pytest.mark.parametrize("metric", ["seconds", "images_per_s", "peak_mem_mib"])
def test_what_depends_on_the_machine_is_compared_on_one_machine(metric: str) -> None:
    def verdict(name: str, *, mixed: bool = False, **other: Any) -> str:
        rows = [[{**row, name: row["test_acc"]} for row in part] for part in (arm("base", BASE), arm("good", BETTER))]
        rows[1] = [{**row, **other} if row["seed"] or not mixed else row for row in rows[1]]
        return build(replace(table(line("good")), metric=name), frame(*rows)).cells[1].verdict.words

    assert verdict(metric) == ("better" if metric == "images_per_s" else "worse")
    assert verdict(metric, device="cuda") == "other machine: device cuda instead of cpu (1 threads)"
    assert verdict(metric, torch="2.8") == "other machine: torch 2.8 instead of 2.9"
    assert verdict(metric, mixed=True, torch="2.8") == "other machine: torch 2.9 / 2.8 instead of 2.9"
    assert verdict("test_acc", device="cuda") == "better"


def test_what_follows_from_the_configuration_is_not_tested() -> None:
    rows = [arm("base", BASE, params=100.0), arm("good", BETTER, params=90.0), arm("one", BETTER[:1], params=80.0)]
    made = build(replace(table(line("good"), line("one")), metric="params"), frame(*rows)).cells
    assert [cell.verdict.words for cell in made] == ["baseline", "", ""]
    assert [cell.comparison.diff for cell in made[1:] if cell.comparison] == [-10, -20]
    assert not any(value == value for cell in made[1:] if cell.comparison for value in (cell.comparison.p, cell.p_holm))


def test_images_held_out_must_be_the_same_ones() -> None:
    def verdict(asked: dict[str, Any], **words: Any) -> str:
        rows = [arm("base", BASE, data_val="50", val_acc=0.0), arm("good", BETTER, data_val="50", val_acc=0.0)]
        rows = [[{**row, "val_acc": row["test_acc"]} for row in part] for part in rows]
        rows[1] = [{**row, **words} for row in rows[1]]
        made = replace(table(line("good", name=",".join(asked), config=asked)), metric="val_acc")
        return build(made, frame(*rows)).cells[1].verdict.words

    assert verdict({}) == "better"
    assert verdict({"data.split_seed=": 1}, **{"data.split_seed": "1"}) == (
        "other validation images: split_seed 1 instead of 0"
    )
    assert (
        verdict({"data.val=": 9}, **{"data.val": "9"}) == "other validation images: validation images 9 instead of 50"
    )
    assert verdict({"data.subset=": 9}, **{"data.train": "9"}).startswith("other validation images: training images 9 ")


def test_a_single_arm_is_not_compared() -> None:
    assert build(table(), frame(arm("base", BASE))).cells[0].verdict.words == "not compared"


def test_a_label_twice_and_a_metric_that_nobody_knows_are_refused() -> None:
    with pytest.raises(ConfigError, match="lab/made: good: two rows have this label"):
        build(table(line("good"), line("good", id="other")), frame())
    for name in ("foo_acc", "id"):
        with pytest.raises(ConfigError, match=f"hydra.launcher.metric={name}: "):
            build(replace(table(), metric=name), frame())
    with pytest.raises(ConfigError, match="metric=tst_acc: no trial has it; did you mean test_acc"):
        build(replace(table(), metric="tst_acc"), frame())
    for name in ("raw_val_loss", "val_loss", "raw_test_acc"):
        build(replace(table(), metric=name), frame())
    own = [{**row, "slow_test_acc": 5.0} for row in arm("base", BASE)]
    assert build(replace(table(), metric="slow_test_acc"), frame(own)).cells[0].values == dict.fromkeys(range(4), 5.0)


@pytest.mark.parametrize("flags", [(), ("control",)])
def test_two_seeds_give_a_difference_and_its_interval_but_no_verdict(flags: tuple[str, ...]) -> None:
    lines = [line("good", flags=flags), line("other")]
    rows = (arm("base", BASE), arm("good", [value + 9 for value in BASE[:2]][::-1]), arm("other", BETTER))
    few, enough = build(table(*lines), frame(*rows)).cells[1:]
    assert few.comparison
    assert few.comparison.p < 0.05, "or there would be nothing to hold back"
    assert few.comparison.low > 0
    assert few.verdict.words == "no verdict (two pairs)"
    assert few.p_holm != few.p_holm, "it takes no part in the adjustment either"
    assert enough.p_holm == enough.comparison.p if enough.comparison else False
    apart = [run("good", seed, value) for seed, value in ((8, 99.0), (9, 99.1))]
    unpaired = build(table(line("good", seeds=10, flags=flags)), frame(rows[0], apart)).cells[1]
    assert unpaired.verdict.words == "no verdict (two seeds)"


def test_three_seeds_give_a_verdict_and_the_table_says_why_two_do_not() -> None:
    made = build(
        table(line("good"), line("few")), frame(arm("base", BASE), arm("good", BETTER[:3]), arm("few", BETTER[:2]))
    )
    assert [cell.verdict.words for cell in made.cells] == ["baseline", "better", "no verdict (two pairs)"]
    below = [
        sentence
        for sentence in footnotes.below(made, metric("test_acc"), "base")
        if sentence.startswith("A verdict takes three seeds")
    ]
    assert len(below) == 1
    assert "three" in below[0]
    whole = build(table(line("good")), frame(arm("base", BASE), arm("good", BETTER)))
    assert not any(
        sentence.startswith("A verdict takes three seeds")
        for sentence in footnotes.below(whole, metric("test_acc"), "base")
    )


def test_a_difference_that_rounds_to_nothing_has_no_minus() -> None:
    assert [metric("test_acc").signed(d) for d in (-0.001, 0.0, 0.554, -7.5)] == ["+0.00", "+0.00", "+0.55", "-7.50"]
