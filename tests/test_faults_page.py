"""`docs/faults.md`, the table of cases: each names a test that exists."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/faults.md"


def rows() -> list[list[str]]:
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return [row for row in cells if row[0] != "case"]


def test_every_case_says_what_was_done_what_happens_and_names_a_test_that_exists() -> None:
    assert len(rows()) > 20
    for row in rows():
        assert len(row) == 4, row
        assert all(row), row
        for file, name in re.findall(r"`([\w/]+\.py)::(\w+)`", row[3]) or [("", row[3])]:
            path = ROOT / file
            assert path.is_file(), row[3]
            assert f"def {name}(" in path.read_text(), row[3]
