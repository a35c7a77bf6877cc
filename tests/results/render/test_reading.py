"""What a reader is told beside the numbers, and numbers that could be read wrongly."""

from __future__ import annotations

import csv as reader
import io
from dataclasses import replace
from typing import Any

import pytest

from results.render import csv, latex, markdown
from results.render.text import p_value, reported_difference
from results.tables.definition import Definition
from results.tables.table import Cell, Table, build
from tests.results.frames import arm, frame, line, run, table

BASE = [90.0, 90.1, 89.8, 90.2]
SOSO = [90.4, 89.9, 90.3, 90.3]
NAMED = r"[cutout] a|b & c `x` <b> $y$"


def made(*rows: list[dict[str, Any]], of: Definition) -> Table:
    return build(of, frame(arm("base", BASE), *rows))


def test_a_constant_difference_has_no_interval_and_says_so() -> None:
    shifted = [value + 1 for value in BASE]
    asked = table(line("shift"), line("so so"), line("tie", flags=("control",)))
    text = markdown.render(made(arm("shift", shifted), arm("so so", SOSO), arm("tie", shifted), of=asked))
    assert "| shift <sup>1</sup> | 4 | 91.02 ± 0.17 | +1.00 | 0.25 | undecided |" in text
    assert "| tie <sup>1, 2</sup> |" in text
    assert (
        "- (1) all pairs differ by the same amount, so that there is no interval, and p is that of a sign-flip test\n"
        in text
    )
    assert "it takes more than 1000, or is not known. With 80 % power, a single comparison" in text
    assert "finds a difference of 0.67 (so so)." in text
    alone = markdown.render(made(arm("shift", shifted), of=table(line("shift"))))
    assert "or is not known.\n" in alone, "nothing is said of what it finds"
    assert "nan" not in text + alone


def test_a_sentence_warns_of_seeds_added_after_a_look() -> None:
    text = markdown.render(made(arm("so so", SOSO), of=table(line("so so"))))
    assert "Seeds that are added after a look at the result weaken p: with one such follow-up" in text
    sure = markdown.render(made(arm("good", [91.1, 91.0, 90.9, 91.2]), of=table(line("good"))))
    assert "follow-up" not in sure


def test_what_is_not_paired_is_not_called_paired() -> None:
    other = [run("late", seed, value) for seed, value in ((4, 91.0), (5, 91.5), (6, 90.9))]
    flat = [run("flat", seed, 91.0) for seed in (4, 5, 6)]
    late = replace(line("late"), seeds=(4, 5, 6))
    asked = table(line("so so"), late)
    text = markdown.render(made(arm("so so", SOSO), other, of=asked))
    how = "Differences are to base, paired by seed, or where marked not paired (Welch's test), with 95 % t intervals."
    assert f"{how} p is that of a t test, adjusted by Holm for 2 comparisons." in text
    assert "| late <sup>1</sup> |" in text
    assert "- (1) not paired: no seed is finished on both sides" in text
    both = table(replace(line("flat"), seeds=(4, 5, 6)))
    level = markdown.render(build(both, frame(arm("base", [90.0] * 4), flat)))
    assert (
        "on each side all values are equal, so that there is no interval, and p is that of a permutation test" in level
    )


def test_an_interval_is_spoken_of_only_where_there_is_one() -> None:
    text = markdown.render(made(arm("one", [90.5]), of=table(line("one"))))
    assert "Differences are to base, paired by seed.\n" in text
    late = replace(line("late"), seeds=(4,))
    text = markdown.render(made([run("late", 4, 91.0)], of=table(late)))
    assert "Differences are to base, not paired.\n" in text


def test_the_family_of_comparisons_is_open_until_all_has_been_run() -> None:
    lines = [
        line("so so"),
        line("void"),
        line("one"),
        line("partial"),
        line("lenet", id=None, lacks="model=lenet: no such option"),
        line("tie", flags=("control",)),
        line("again", id="void"),
        line("single", seeds=1),
        line("long"),
    ]
    rows = [
        arm("so so", SOSO),
        arm("one", [90.5]),
        arm("partial", [91.0, 91.2, 91.1]),
        arm("long", [91.0], epochs=20.0),
    ]
    text = markdown.render(made(*rows, of=table(*lines)))
    assert "adjusted by Holm for 2 comparisons so far, of 4 in all." in text, "void and one can still get a p"
    whole = made(arm("so so", SOSO), of=table(line("so so"), line("single", seeds=1)))
    assert "adjusted by Holm for 1 comparison." in markdown.render(whole)
    waiting = build(table(line("so so"), line("x", against="void"), line("void")), frame(*rows[:1], arm("base", BASE)))
    assert "1 comparison so far, of 3 in all." in markdown.render(waiting)


@pytest.mark.parametrize(
    ("p", "printed"),
    [
        (0.0004, "<0.001"), (0.0114, "0.011"), (0.0494, "0.049"), (0.0496, "0.0496"), (0.04999, "0.04999"),
        (0.0499996, "0.0499996"), (0.05, "0.050"), (0.0504, "0.050"), (0.0999, "0.100"), (0.3, "0.30"),
    ],
)  # fmt: skip
def test_a_p_below_the_level_is_not_printed_as_the_level(p: float, printed: str) -> None:
    (_, cell) = made(arm("so so", SOSO), of=table(line("so so"))).cells
    assert p_value(replace(cell, p_holm=p)) == printed


@pytest.mark.parametrize(
    ("base", "own", "difference"),
    [((90.0,), (93.0,), 3.0), ((90.0, 95.0), (93.0,), None), ((90.0,), (93.0, 94.0), None), ((), (93.0,), None)],
)
def test_reported_numbers_are_subtracted_only_one_from_one(
    base: tuple[float, ...], own: tuple[float, ...], difference: float | None
) -> None:
    asked = table(line("arm", reported={"test_acc": own}))
    first = replace(asked.lines[0], reported={"test_acc": base})
    cells: dict[str, Cell] = {c.line.label: c for c in made(of=replace(asked, lines=(first, asked.lines[1]))).cells}
    assert reported_difference(cells["arm"], cells, "test_acc") == difference


def test_a_source_that_is_not_named_is_not_left_blank() -> None:
    asked = table(line("arm", reported={"test_acc": (93.0,)}))
    assert "- Reported: by a source that is not named\n" in markdown.render(made(of=asked))
    assert "- Reported: by a source that is not named; 200 epochs\n" in markdown.render(
        made(of=replace(asked, protocol="200 epochs"))
    )


def test_the_best_epochs_have_decimals_of_their_own() -> None:
    asked = table(line("arm", reported={"best_test_acc": (96.0,)}), metric="seconds")
    assert "| 99.00 ± 0.00 |" in markdown.render(made(of=asked))


def test_a_row_of_csv_says_where_it_comes_from() -> None:
    asked = table(line("mixed"), source="the notes", protocol="200 epochs", changed=("epochs=10", "seeds=4"))
    found = made([*arm("mixed", BASE[:3]), run("mixed", 3, 91.0, data_pixels="ff")], of=asked)
    base, mixed = reader.DictReader(io.StringIO(csv.render(found)))
    assert (base["source"], base["protocol"], base["changed"]) == ("the notes", "200 epochs", "epochs=10 seeds=4")
    assert base["images"] == "; ".join(found.data)
    assert "digits, tested on 360 of 360 images, fingerprint eeb1db75d2887405" in base["images"]
    assert (base["refused"], mixed["refused"]) == (
        "",
        "seeds differ in data: fingerprint of the images eeb1db75d2887405, ff",
    )


def test_latex_takes_every_label_and_note_literally() -> None:
    lines = [line(NAMED, id="a", notes=("two\n\nparagraphs | `x`",)), line("*star", id="b"), line("in [c]", id="c")]
    text = latex.render(made(of=replace(table(*lines), title="Of\n\ntwo [parts]")))
    assert r"\caption{Of two [parts]}" in text
    assert (
        r"{[}cutout] a\textbar{}b \& c \textasciigrave{}x\textasciigrave{} $<$b$>$ \$y\$\textsuperscript{1} & " in text
    )
    assert "\n{*}star & 0/4" in text
    assert "\nin [c] & 0/4" in text
    assert r"\textsuperscript{1} two paragraphs \textbar{} \textasciigrave{}x\textasciigrave{}\par" in text


def test_markdown_takes_every_label_literally() -> None:
    text = markdown.render(made(of=table(line(NAMED, id="a", notes=("&lt; $a$",)))))
    assert r"| \[cutout\] a\|b \& c \`x\` \<b\> \$y\$ <sup>1</sup> |" in text
    assert r"- (1) \&lt; \$a\$" in text
