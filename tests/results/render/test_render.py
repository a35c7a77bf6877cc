"""What is printed of a table, in every format."""

from __future__ import annotations

import csv as reader
import io
import json as parser
import re
from dataclasses import replace
from itertools import pairwise

import pandas as pd
import pytest
from rich.console import Console

from results.render import csv, json, latex, markdown, terminal
from results.tables.table import Table, build
from tests.results.frames import arm, frame, line, run, table

BASE = [90.0, 90.1, 89.8, 90.2]


def runs() -> pd.DataFrame:
    partial = [run("partial", 0, 91.0), run("partial", 1, 91.2), run("partial", 2, status="FAILED", cause="oom")]
    mixed = [*arm("mixed", BASE[:3]), run("mixed", 3, 91.0, data_pixels="ff")]
    long = arm("long_1", [90.8, 91.3, 91.0, 91.2], epochs=20.0)
    rows = [arm("base", BASE), arm("good", [91.1, 91.0, 90.9, 91.2]), long, arm("so so", [90.4, 89.9, 90.3, 90.3])]
    return frame(*rows, partial, mixed, arm("tie", [90.1, 90.0, 90.0, 90.1], device="cuda"))


@pytest.fixture(scope="module")
def made() -> Table:
    lines = [
        line("good", reported={"test_acc": (92.94,)}),
        line("long_1", name="epochs=20", reported={"test_acc": (93.06, 93.1)}),
        line("so so", notes=("50 % of {all} & more",)),
        line("partial", reported={"err": (6.5,)}),
        line("void"),
        line("lenet|5", id=None, lacks="model=lenet: no such option"),
        line("tie", flags=("control",)),
        line("mixed"),
    ]
    asked = table(*lines, source="the notes, one run each", protocol="200 epochs", changed=("epochs=10",))
    base = replace(asked.lines[0], reported={"test_acc": (92.39,)})
    return build(replace(asked, lines=(base, *asked.lines[1:])), runs())


def printed(made: Table, width: int, best: bool = False) -> str:
    console = Console(width=width, file=io.StringIO(), highlight=False, markup=False)
    terminal.show(made, console, best)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_markdown(made: Table) -> None:
    text = markdown.render(made)
    for row in (
        "| base | 4 | 90.02 ± 0.17 |  |  | baseline | 92.39 |  |",
        r"| good | 4 | 91.05 ± 0.13 | +1.03 \[+0.87, +1.18\] | \<0.001 | better | 92.94 (+0.55) |  |",
        r"| long\_1 <sup>1</sup> | 4 | 91.08 ± 0.22 | +1.05 \[+0.75, +1.35\] | 0.003 | better "
        "| 93.06 / 93.10 |  |",
        r"| so so <sup>2</sup> | 4 | 90.23 ± 0.22 | +0.20 \[-0.30, +0.70\] | 0.30 | undecided (22 seeds) |  |  |",
        r"| partial <sup>3, 4</sup> | 2/4 | 91.10 ± 0.14, failed 1/4, missing 1/4 | +1.05 \[+0.41, +1.69\] |  "
        "| no verdict (two pairs) |  | 6.50 |",
        "| void | 0/4 | missing 4/4 |  |  | no runs |  |  |",
        r"| lenet\|5 <sup>5</sup> |  |  |  |  | cannot be run yet |  |  |",
        r"| tie <sup>6</sup> | 4 | 90.05 ± 0.06 | +0.02 \[-0.21, +0.26\] | (0.76) | control: tie |  |  |",
        "| mixed <sup>7</sup> | 4 | no mean |  |  | seeds differ in data |  |  |",
        "- Measured: 10 epochs, 20 epochs (long\\_1), batch size 64, trained on 512 of 1437 images (stratified), bf16; "
        "asked for by epochs=10",
        "- Reported: the notes, one run each; 200 epochs",
        "- Images: digits, tested on 360 of 360 images, fingerprint eeb1db75d2887405",
        "- Images: digits, tested on 360 of 360 images, fingerprint eeb1db75d2887405 / ff (rows: mixed)",
        "- Warning: the runs used 2 devices: cpu (1 threads), cuda",
        "- (1) other budget: epochs 20 instead of 10",
        "- (3) seed 2 failed: oom",
        "- (4) the difference is over the seeds finished on both sides: 0, 1",
        "- (5) cannot be run yet: model=lenet: no such option",
        "- (6) control",
        "- (7) seeds differ in data: fingerprint of the images eeb1db75d2887405, ff",
        "python launch/run.py -m table=lab/made seeds=4 hydra.sweeper.incomplete=skip  # for 6 trials without a result",
    ):
        assert row in text.splitlines(), row
    assert (
        "The numbers are the mean ± standard deviation over n seeds of the test accuracy of the last epoch, in %."
        in text
    )
    assert text.endswith("```\n")
    widths = {len(re.findall(r"(?<!\\)\|", row)) for row in text.splitlines() if row.startswith("|")}
    assert widths == {9}, "one number of columns"


def test_csv_has_every_number_in_full(made: Table) -> None:
    rows = {row["label"]: row for row in reader.DictReader(io.StringIO(csv.render(made)))}
    good = rows["good"]
    cell = made.cells[1]
    assert cell.summary
    assert cell.comparison
    assert (float(good["mean"]), float(good["std"])) == (cell.summary.mean, cell.summary.std)
    assert (float(good["diff"]), float(good["diff_std"])) == (cell.comparison.diff, cell.comparison.std)
    assert (good["n"], good["pairs"], good["paired"], good["verdict"]) == ("4", "4", "true", "better")
    assert good["values"] == "0:91.1 1:91.0 2:90.9 3:91.2"
    assert rows["partial"]["waiting"] == "2:failed: oom 3:missing"
    assert rows["mixed"]["mean"] == rows["void"]["p_holm"] == ""
    assert rows["long_1"]["epochs"] == "20"
    assert rows["long_1"]["reported_test_acc"] == "93.06 93.1"


def test_json_has_no_nan_and_the_values_of_every_seed(made: Table) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    text = json.render(made)
    assert not [digits for digits in ("9999999", "0000000") if digits in text], "14.499999999999998"
    found = parser.loads(text, parse_constant=refuse)
    assert found["name"] == "lab/made"
    assert not found["complete"]
    assert found["lines"][1]["values"] == {"0": 91.1, "1": 91.0, "2": 90.9, "3": 91.2}
    assert found["lines"][0]["p_holm"] is None
    assert found["lines"][1]["comparison"]["n"] == 4


def test_latex_is_escaped_and_whole(made: Table) -> None:
    text = latex.render(made)
    for part in (
        r"\begin{tabular}{lrrrrlrr}",
        r"good & 4 & 91.05 $\pm$ 0.13 & $+1.03$ [$+0.87$, $+1.18$] & $<$0.001 & better & 92.94 ($+0.55$) &  \\",
        r"long\_1\textsuperscript{1} & 4",
        r"\textsuperscript{2} 50 \% of \{all\} \& more\par",
    ):
        assert part in text
    begun, ended = (re.findall(rf"\\{word}{{(\w+)}}", text) for word in ("begin", "end"))
    assert sorted(begun) == sorted(ended)
    body = text[text.index(r"\toprule") : text.index(r"\bottomrule")]
    rows = [row for row in body.splitlines() if row.endswith(r"\\")]
    assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {7}
    plain = re.sub(r"\\(?:[a-z]+|.)", "", "\n".join(line for line in text.splitlines() if line[:1] != "%"))
    assert not re.findall(r"[#_~^%&]", plain.replace(" & ", ""))
    assert plain.count("{") == plain.count("}")
    assert plain.count("$") % 2 == 0


@pytest.mark.parametrize("width", [80, 100, 140])
@pytest.mark.parametrize("best", [False, True])
def test_a_terminal_of_any_width_shows_all(made: Table, width: int, best: bool) -> None:
    lines = printed(made, width, best).splitlines()
    text = "\n".join(lines)
    assert all(len(line) <= width for line in lines if not line.startswith("next: "))
    for part in ("[+0.87, +1.18]", "<0.001", "missing 4/4", "± 0.17", "(+0.55)", "(0.76)", "control: DIFFERS"):
        assert (part in text) == (part != "control: DIFFERS")
    assert ("selected" in text) == best
    nexts = [line for line in lines if line.startswith("next: ")]
    assert nexts[0] == f"next: {made.next[0]}", "can be copied"


def test_the_best_epochs_stand_in_a_column_of_their_own_if_they_were_reported() -> None:
    asked = table(line("good", reported={"best_test_acc": (96.0,)}))
    text = markdown.render(build(asked, runs()))
    assert "| best epoch, selected on test | reported best\\_test\\_acc (difference) |" in text
    assert "| 99.00 ± 0.00 | 96.00 |" in text
    ours = markdown.render(build(replace(asked, metric="best_test_acc"), runs()))
    assert "best epoch, selected on test" not in ours
    assert "seeds of the test accuracy of the best epoch, selected on the test set, in %." in ours


def test_what_was_reported_may_be_a_number_that_no_run_has() -> None:
    asked = table(line("good", reported={"err": (6.94,), "gflops": (0.04,), "test_acc": (93.06,)}))
    head = next(row for row in markdown.render(build(asked, runs())).splitlines() if row.startswith("|  |"))
    assert head.endswith(r"| reported err (difference) | reported gflops (difference) | reported (difference) |")


def test_the_same_runs_in_another_order_are_the_same_bytes() -> None:
    asked = table(line("good"), line("partial"), line("so so"))
    shuffled = [runs().sample(frac=1, random_state=seed).reset_index(drop=True) for seed in range(3)]
    for render in (markdown.render, csv.render, latex.render, json.render):
        texts = [render(build(asked, each)) for each in shuffled]
        assert all(one == other for one, other in pairwise(texts))
        assert texts[0].endswith("\n")


def test_what_does_not_fit_a_terminal_stands_below() -> None:
    numbers = dict.fromkeys(("test_acc", "top5", "gflops", "err", "paper_err", "minutes_per_epoch"), (12.25,))
    lines = printed(build(table(line("good", reported=numbers)), runs()), 80).splitlines()
    assert all(len(each) <= 80 for each in lines)
    rows = [each for each in lines if each.startswith("good ")]
    assert len(rows) > 1
    assert "".join(rows).count("12.25") == 6


def test_an_empty_table_is_printed_too() -> None:
    empty = build(replace(table(), lines=()), frame())
    assert "Measured: nothing yet" in markdown.render(empty)
    assert csv.render(empty) == "table\n"
    assert latex.render(empty)
    assert printed(empty, 80)
    assert parser.loads(json.render(empty))["lines"] == []
