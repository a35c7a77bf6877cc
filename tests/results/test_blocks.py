"""Markers in notes: what stands between them is replaced, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablation.errors import ConfigError
from results.blocks.markers import parse, replace

NOTE = """# Mixup

It mixes. <!-- a word of the author's -->

<!-- table: lab/postact_mixup epochs=10 'aug=[cutout, mixup]' seeds=4 -->
old
<!-- end table -->

We saw <!-- finding: lab/postact_mixup epochs=10 | mixup 0.3 -->nothing<!-- end finding -->, and
<!-- finding: lab/eta | eta 1e-4 --><!-- end finding -->.

```markdown
<!-- table: lab/eta -->
```
An example is `<!-- finding: lab/eta | x -->`.
"""


def test_blocks_are_found_in_order() -> None:
    table, first, second = parse(NOTE, "note.md")
    assert (table.kind, table.line, table.body) == ("table", 5, "old\n")
    assert table.arguments == ("lab/postact_mixup", "epochs=10", "aug=[cutout, mixup]", "seeds=4")
    assert (first.kind, first.label, first.line, first.body) == ("finding", "mixup 0.3", 9, "nothing")
    assert (second.arguments, second.label, second.body) == (("lab/eta",), "eta 1e-4", "")


def test_all_bodies_are_replaced_and_nothing_else() -> None:
    filled = replace(NOTE, parse(NOTE, "note.md"), ["| a |\n", "one", "two"])
    expected = NOTE.replace("old\n", "| a |\n").replace("nothing<", "one<").replace("--><!-- end f", "-->two<!-- end f")
    assert filled == expected
    assert [b.body for b in parse(filled, "note.md")] == ["| a |\n", "one", "two"]


_LINES = st.sampled_from(
    [
        "",
        "words",
        "<!-- TODO: mine -->",
        "```",
        "~~~~",
        "`<!-- table: x -->`",
        "| a | b |",
        "\r",
        "é ∑\x0b",
        "`" * 3 + "py",
    ]
)
_PIECES = st.sampled_from(
    [
        "<!-- table: lab/eta seeds=2 -->\n{}<!-- end table -->",
        "see <!-- finding: lab/eta | x -->{}<!-- end finding -->.",
    ]
)


@given(st.lists(st.one_of(_LINES, _PIECES)), st.data())
def test_whatever_stands_around_is_kept_and_filling_again_changes_nothing(
    lines: list[str], data: st.DataObject
) -> None:
    note = "\n".join(lines).replace("{}", "")
    blocks = parse(note, "note.md")
    texts = st.sampled_from(["", "\n| a |\n\n```bash\nrun\n```\n", "<!-- made from: {} -->\n"])
    bodies = [data.draw(texts) if b.kind == "table" else "a sentence" for b in blocks]
    filled = replace(note, blocks, bodies)
    again = parse(filled, "note.md")
    assert [b.body for b in again] == bodies
    assert replace(filled, again, bodies) == filled
    assert replace(filled, again, [""] * len(again)) == note


@pytest.mark.parametrize(
    ("note", "message"),
    [
        ("<!-- table: a -->\n", "note.md:1: the table that begins here does not end; write <!-- end table -->"),
        ("\n<!-- end table -->\n", "note.md:2: a table ends that has not begun"),
        (
            "<!-- table: a -->\n<!-- table: b -->\n<!-- end table -->\n",
            "note.md:2: a table begins inside the table of line 1",
        ),
        (
            "<!-- table: a -->\nx <!-- end finding -->\n<!-- end table -->",
            "note.md:2: a finding ends, but line 1 began a table",
        ),
        ("<!-- tabel: a -->\n<!-- end table -->\n", "note.md:1: tabel: no such marker; did you mean table?"),
        ("<!-- Table: a -->\n", "did you mean table?"),
        ("<!-- table a -->\n<!-- end table -->\n", "note.md:1: the colon is missing"),
        ("<!-- table: a\n-->\n", "note.md:1: a marker has to end on the line on which it begins"),
        ("<!-- table: -->\n<!-- end table -->\n", "note.md:1: names no table"),
        ("<!-- table: seeds=2 -->\n<!-- end table -->\n", "names no table"),
        ("<!-- table: 'a -->\n<!-- end table -->\n", "No closing quotation"),
        ("x <!-- table: a -->\n<!-- end table -->\n", "stand alone on their lines"),
        ("<!-- table: a --><!-- end table -->\n", "stand alone on their lines"),
        ("<!-- finding: a --><!-- end finding -->\n", "names no row of the table"),
        ("<!-- table: a -->\n<!-- end -->\n", "note.md:2: it is not said what ends"),
        ("<!-- table: a -->\n<!-- end table: a -->\n", "note.md:2: there is more in it than the end"),
    ],
)
def test_broken_markers_are_refused_with_file_and_line(note: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(note, "note.md")
    assert message in str(caught.value)


def test_the_authors_own_comments_are_left_alone() -> None:
    assert parse("<!-- TODO: x -->\n<!-- end of part 1 -->\n<!-- command A -->\n<!--\ntable\n-->\n", "note.md") == []
