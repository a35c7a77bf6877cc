"""What the lab notes name without measuring it: every such line is a row of lab/open, or has its reason there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from tiny import CONF

from launch.compose.hydra_version import running
from launch.tables.definition import compositions
from launch.tables.request import parse_request

LINES: dict[str, dict[str, list[int]]] = yaml.safe_load(Path(__file__).with_name("lab_lines.yaml").read_text())
OPEN: dict[str, Any] = yaml.safe_load((CONF / "table" / "lab" / "open.yaml").read_text())
NOTES = next((CONF.parents[1] / "shared" / "seeds").glob("001_*.txt"), None)


def test_no_line_is_treated_twice() -> None:
    numbers = [number for kind in LINES.values() for lines in kind.values() for number in lines]
    assert len(numbers) == len(set(numbers))


def test_lines_with_rows_name_tables_rows_and_reasons_that_exist() -> None:
    assert [name for name in LINES["tables"] if not (CONF / "table" / f"{name}.yaml").exists()] == []
    assert LINES["rows"].keys() <= {row["label"] for row in OPEN["rows"]}
    told = {note.partition(" (")[0] for note in OPEN["notes"]}
    assert LINES["reasons"].keys() <= told
    assert all("no row, since" in note for note in OPEN["notes"] if note.partition(" (")[0] in LINES["reasons"])


def test_every_row_says_from_which_line_it_is_and_the_others_that_they_are_ours() -> None:
    rows = {row["label"]: row for row in OPEN["rows"]}
    for label, row in rows.items():
        lines = LINES["rows"].get(label)
        if lines:
            assert re.search(rf"\blines? {min(lines)}\b", row["notes"]), label
    more = {"v2, cosine by the epoch", "v2, mixup 0.5, smoothing 0.1", "EMA 0.999", "multi-scale training"}
    more |= {"CIFAR-100, one round of refinery"}
    others = {label for label, row in rows.items() if "ours" not in row.get("flags", ())}
    assert others == LINES["rows"].keys() - {"CIFAR-100"} | more


def test_every_row_composes_and_has_an_arm_of_its_own() -> None:
    with running():
        made = compositions(list(parse_request(["table=lab/open"]).rows))
    assert [str(arms) for arms in made if isinstance(arms, Exception)] == []
    ids = [arms[-1].arm.id for arms in made if not isinstance(arms, Exception)]
    assert len(set(ids)) == len(OPEN["rows"])


def test_no_line_of_the_notes_is_forgotten() -> None:
    if NOTES is None:
        pytest.skip("the lab notes do not lie beside the repository")
    lines = enumerate(NOTES.read_text().splitlines(), 1)
    wordy = {number for number, line in lines if line.strip(" =") and not re.search(r"\d\d\.\d\d", line)}
    assert wordy == {number for kind in LINES.values() for found in kind.values() for number in found}
