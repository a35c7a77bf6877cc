"""A table whose rows are ranked beside a published ranking: who takes part, in which order, and what is printed."""

from __future__ import annotations

import csv as reader
import io
import json as parser
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest
from rich.console import Console
from scipy.stats import kendalltau, spearmanr

from results.blocks.staleness import comment
from results.render import csv, json, latex, markdown, terminal
from results.tables.definition import Definition, Line
from results.tables.ranking import Ranking
from results.tables.table import Table, build
from tests.results.frames import arm, frame, line, run, table

MEANS = {"lenet": 40.0, "vgg": 55.0, "resnet": 60.5, "wide": 62.0, "dense": 60.0, "xception": 58.0, "copy": 63.0}
PAPER = {"lenet": 70.8, "vgg": 88.4, "resnet": 92.1, "wide": 94.1, "dense": 92.1, "copy": 96.2}


def definition(*others: Line, **words: Any) -> Definition:
    lines = [
        line(label, None, 2, reported={"best_test_acc": (PAPER[label],)} if label in PAPER else {}) for label in MEANS
    ]
    lines[-1] = replace(lines[-1], flags=("copied",))
    lines.append(Line("nasnet", None, (0, 1), lacks="model=nasnet: no such option"))
    return replace(table(), lines=(*lines, *others), **{"rank": "best_test_acc", **words})


def runs(**others: Any) -> pd.DataFrame:
    arms = [arm(label, [mean - 0.5, mean + 0.5], **others) for label, mean in MEANS.items()]
    return frame(*arms, arm("long", [70.0, 70.2], epochs=20.0), arm("rounds", [50.0, 50.4]))


def ranking(made: Table) -> Ranking:
    assert made.ranking
    return made.ranking


def test_rows_are_ranked_among_those_that_have_both_numbers() -> None:
    made = ranking(build(definition(), runs()))
    assert {label: place.rank for label, place in made.places.items()} == {
        **{"wide": 1, "resnet": 2, "dense": 3},
        **{"vgg": 4, "lenet": 5},
    }
    assert [made.places[label].reported for label in ("wide", "resnet", "dense", "vgg")] == [1, 2.5, 2.5, 4]
    assert (made.places["resnet"].low, made.places["resnet"].high) == (2, 3), "1.5 below the best, 0.5 above the next"
    assert (made.places["lenet"].low, made.places["lenet"].high) == (5, 5)
    assert made.left == {
        "no reported number": ["xception"],
        "copied number, of another protocol": ["copy"],
        "not measured": ["nasnet"],
    }
    ours, theirs = zip(*[(MEANS[label], PAPER[label]) for label in made.places], strict=True)
    assert made.agreement
    assert made.agreement.spearman == pytest.approx(spearmanr(ours, theirs).statistic)
    assert made.agreement.kendall == pytest.approx(kendalltau(ours, theirs).statistic)


def test_the_rows_stand_in_the_order_of_their_means() -> None:
    made = build(definition(), runs())
    order = ["copy", "wide", "resnet", "dense", "xception", "vgg", "lenet", "nasnet"]
    assert [cell.line.label for cell in made.cells] == order
    slow = build(definition(metric="seconds"), runs())
    assert [cell.line.label for cell in slow.cells] == [*MEANS, "nasnet"], "equal: the definition's order"


def test_a_row_of_another_budget_has_no_rank() -> None:
    rounds = line("rounds", None, 2, reported={"best_test_acc": (90.0, 91.0)})
    again = line("again", None, 2, id="vgg", reported={"best_test_acc": (88.0,)})
    made = build(definition(line("long", None, 2, reported={"best_test_acc": (95.0,)}), rounds, again), runs())
    left = ranking(made).left
    assert left["measured at another budget, or on other images, than most"] == ["long"]
    assert left["several reported numbers"] == ["rounds"]
    assert left["the same runs as another row"] == ["again"]
    assert made.cells[0].line.label == "copy"


def test_markdown_says_how_far_the_rankings_agree() -> None:
    text = markdown.render(build(definition(), runs()))
    head = r"|  | n | mean ± std | verdict | best epoch, selected on test | reported best\_test\_acc (difference) "
    for row in (
        head + r"| rank \[95 %\] | rank of reported |",
        r"| resnet | 2 | 60.50 ± 0.71 | not compared | 99.00 ± 0.00 | 92.10 | 2 \[2, 3\] | 2.5 |",
        "| xception | 2 | 58.00 ± 0.71 | not compared | 99.00 ± 0.00 |  |  |  |",
        "- Rank 1 is the best mean of the rows that also have a reported best\\_test\\_acc. In brackets are the ranks "
        "that 95 % of resamples of the seeds give: the distances of seeds from the means of their rows, drawn from all "
        "rows with seed 0.",
    ):
        assert row in text.splitlines(), row
    agreed = ranking(build(definition(), runs())).agreement
    assert agreed
    how = "bootstrap over rows, each with all of its seeds, with seed 0"
    said = f"Spearman's is 0.97 (95 % interval {agreed.low:.2f} to 1.00; {how}), Kendall's tau-b 0.95."
    assert f"- The rank correlation with the reported best\\_test\\_acc is over 5 of 8 rows: {said}" in text
    out = "xception (no reported number); copy (copied number, of another protocol); nasnet (not measured)."
    assert f"Left out are {out}\n" in text
    assert "- A rank correlation is 1 for the same order" in text


def test_fewer_than_four_rows_have_no_correlation() -> None:
    few = runs()
    text = markdown.render(build(definition(), few[few["id"].isin(["lenet", "vgg", "wide"])]))
    assert "since it takes 4 rows that were measured and have one: 3 of 8 rows do. Left out are " in text
    assert "| wide | 2 | 62.00 ± 0.71 | not compared | 99.00 ± 0.00 | 94.10 | 1 | 1 |" in text.replace(r" \[1, 1\]", "")
    assert "Spearman" not in text
    empty = markdown.render(build(definition(), frame()))
    assert "rank of reported" not in empty
    assert "0 of 8 rows do. Left out are 8 rows (not measured)." in empty
    assert "Rank 1 is" not in empty


def test_one_seed_each_gives_ranks_without_intervals() -> None:
    known = runs()
    text = markdown.render(build(definition(), known[known["seed"] == 0]))
    assert "| 92.10 | 2 | 2.5 |" in text
    assert "It has no interval, since no row has two seeds." in text
    assert "nan" not in text


def test_rows_that_are_all_equal_say_nothing() -> None:
    flat = frame(*(arm(label, [50.0, 50.0]) for label in MEANS))
    text = markdown.render(build(definition(), flat))
    assert "since one of the two is the same in all rows (5 of 8 rows)." in text
    assert r"| 3 \[3, 3\] | 2.5 |" in text


def test_less_may_be_better() -> None:
    asked = definition()
    errors = {label: {"err": (100 - value,)} for label, value in PAPER.items()}
    lines = tuple(replace(each, reported=errors.get(each.label, {})) for each in asked.lines)
    made = ranking(build(replace(asked, rank="err", lines=lines), runs()))
    assert made.agreement == ranking(build(definition(), runs())).agreement


def test_every_format_has_the_ranks() -> None:
    made = build(definition(), runs())
    rows = {row["label"]: row for row in reader.DictReader(io.StringIO(csv.render(made)))}
    resnet = rows["resnet"]
    assert [resnet[f"rank{end}"] for end in ("", "_low", "_high", "_of_reported_best_test_acc")] == [
        *("2.0", "2.0", "3.0", "2.5"),
    ]
    assert rows["nasnet"]["rank"] == ""
    agreed = ranking(made).agreement
    assert agreed
    assert {row["spearman"] for row in rows.values()} == {str(agreed.spearman)}
    told = parser.loads(json.render(made))
    assert told["rank"] == "best_test_acc"
    assert told["ranking"]["places"]["resnet"] == {"rank": 2, "low": 2, "high": 3, "reported": 2.5}
    assert told["ranking"]["agreement"]["n"] == 5
    assert told["ranking"]["left"]["not measured"] == ["nasnet"]
    assert "2 [2, 3] & 2.5" in latex.render(made)
    console = Console(width=140, file=io.StringIO(), highlight=False, markup=False)
    terminal.show(made, console)
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert all(len(each) <= 140 for each in shown.splitlines() if not each.startswith("next: "))
    assert "2 [2, 3]" in shown
    assert "Kendall's tau-b 0.95" in shown.replace("\n", " ")


def test_the_same_runs_in_another_order_are_the_same_bytes() -> None:
    known = runs()
    shuffled = known.sample(frac=1, random_state=1).reset_index(drop=True)
    for render in (markdown.render, csv.render, latex.render, json.render):
        assert render(build(definition(), known)) == render(build(definition(), shuffled))


def test_a_table_that_is_not_ranked_says_nothing_of_ranks() -> None:
    plain = build(definition(rank=""), runs())
    assert plain.ranking is None
    assert [cell.line.label for cell in plain.cells] == [*MEANS, "nasnet"]
    for render in (markdown.render, csv.render, latex.render, json.render):
        assert "rank" not in render(plain).lower()
    assert comment(plain) != comment(build(definition(), runs()))


def test_a_seed_that_failed_is_not_waited_for() -> None:
    known = pd.concat([runs(), frame([run("late", 0, 61.0), run("late", 1, status="FAILED", cause="oom")])])
    made = ranking(build(definition(line("late", None, 2, reported={"best_test_acc": (91.0,)})), known))
    assert made.places["late"].rank == 2
    assert made.places["late"].low <= 2 <= made.places["late"].high
