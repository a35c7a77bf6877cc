"""Sentences about single lines, and why a block no longer matches, from tables made by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ablation.errors import ConfigError
from results.blocks.finding import sentence
from results.blocks.staleness import comment, reasons
from results.tables.table import Table, build
from tests.results.frames import arm, frame, line, run, table

BASE = arm("base", [90.0, 91.0, 92.0, 93.0])


def said(rows: list[dict[str, Any]], label: str = "mixup", **others: Any) -> str:
    return sentence(build(table(line(label, **others)), frame(BASE, rows)), label)


def test_a_difference_is_said_with_all_that_it_rests_on() -> None:
    text = said(arm("mixup", [88.0, 89.1, 90.0, 90.9]))
    assert text.startswith(
        "mixup: -2.00 points [-2.13, -1.87] against base, 4 paired seeds, p <0.001 adjusted by Holm, "
    )
    assert text.endswith("10 epochs on 512 of 1437 images (stratified): worse")


def test_an_undecided_one_says_what_would_settle_it() -> None:
    assert "would settle a difference of this size" in said(arm("mixup", [91.0, 90.0, 93.5, 93.1]))


@pytest.mark.parametrize(
    ("rows", "others", "text"),
    [
        ([], {}, "mixup: has not been run"),
        ([run("mixup", 0, None, status="FAILED", cause="oom")], {}, "mixup: has no result (failed 1/4, missing 3/4)"),
        (
            [],
            {"id": None, "lacks": "model=vit: no such option"},
            "mixup: cannot be run yet (model=vit: no such option)",
        ),
        (arm("mixup", [90.5]), {}, "mixup: +0.50 points against base, 1 of 4 paired seeds, 10 epochs on 512 of 1437 "),
        (arm("mixup", [90.1, 90.9, 92.1, 92.9]), {"flags": ("control",)}, "mixup: +0.00 points [-0.18, +0.18] against"),
        (arm("mixup", [90.0, 91.0], epochs=20.0), {}, "mixup: 90.50 ± 0.71, missing 2/4, 20 epochs on 512 of 1437 "),
    ],
)
def test_whatever_became_of_a_line_is_said(rows: list[dict[str, Any]], others: dict[str, Any], text: str) -> None:
    assert said(rows, **others).startswith(text)


def test_a_control_s_p_is_not_called_adjusted() -> None:
    text = said(arm("mixup", [90.1, 90.9, 92.1, 92.9]), flags=("control",))
    assert "p = 1.00, 10 epochs" in text
    assert text.endswith(": a tie, as it has to be for a control")


def test_the_baseline_s_own_sentence_has_its_mean() -> None:
    made = build(table(line("mixup")), frame(BASE))
    assert sentence(made, "base").startswith("base: 91.50 ± 1.29, 10 epochs on ")


def test_a_line_that_is_not_there_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="lab/made has no row mixpu; did you mean mixup"):
        sentence(build(table(line("mixup")), frame()), "mixpu")


def body(made: Table, text: str = "| a |") -> str:
    return f"\n{text}\n\n{comment(made)}\n"


def test_reasons_are_of_cells_tables_and_edits() -> None:
    definition = table(line("a --> b"))
    rows = arm("a --> b", [91.0, 92.0, 93.0])
    made = build(definition, frame(BASE, rows))
    assert comment(made).count("-->") == 1
    assert reasons(body(made), body(made)) == []
    assert reasons("", body(made)) == ["it was never filled"]
    assert reasons("| a |\n", body(made))[0].startswith("it was edited")
    assert reasons(body(made, "| b |"), body(made)) == [
        "it was edited, or filled by another version: its line 2 is '| b |', where the runs give '| a |'"
    ]
    fewer = build(definition, frame(BASE, rows[:2]))
    assert reasons(body(made), body(fewer)) == [
        'row "a --> b" has lost seed 2',
        'row "a --> b" had the mean 92 and has 91.5',
    ]
    assert reasons(body(fewer), body(made))[0] == 'row "a --> b" has gained seed 2'
    assert reasons(body(made), body(build(definition, frame(BASE))))[0].endswith(
        "has no runs any more: seeds 0, 1, 2 are gone"
    )
    assert reasons(body(made), body(build(replace(definition, title="Other"), frame(BASE, rows)))) == [
        "the file of the table has changed"
    ]
    assert reasons("a: +2.00", "a: +1.00") == ["it says 'a: +2.00', and the runs say 'a: +1.00'"]
