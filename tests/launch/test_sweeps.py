"""`ablation sweeps` as a user types it, over run folders written by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from launch.cli import main
from tests.launch.handmade import finish, make, seed_folder, start, stopped, sweep


def told(out: Path, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, str, str]:
    code = main(["sweeps", "--out", str(out), *more])
    caught = capsys.readouterr()
    return code, caught.out, caught.err


def test_they_are_listed_by_when_they_were_submitted_last(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = sweep(tmp_path, "seeds=2", name="first")
    sweep(tmp_path, "optim.lr=0.3", name="second")
    sweep(tmp_path, "seeds=2", "aug=cutout", name="first")
    make(seed_folder(first, 0), 1, start(), {"event": "done", "time": 136.0})
    finish(seed_folder(first, 0), 1)
    make(seed_folder(first, 0, 1), 1, start(), stopped())
    code, said, _ = told(tmp_path, capsys)
    assert code == 0
    head, *rows = [line.split() for line in said.splitlines()]
    assert head == ["sweep", "last", "submitted", "submissions", "arms", "trials"]
    assert [(row[0], *row[3:5]) for row in rows] == [("second", "1", "1"), ("first", "2", "2")]
    assert " ".join(rows[1][5:]) == "3 trials: 1 done, 1 stopped, 1 new"

    code, said, _ = told(tmp_path, capsys, "--json")
    facts = json.loads(said)
    assert [s["sweep"] for s in facts["sweeps"]] == ["second", "first"]
    assert facts["sweeps"][1]["submissions"] == [1, 2]
    assert facts["sweeps"][1]["totals"] == {"done": 1, "stopped": 1, "new": 1}
    assert facts["sweeps"][1]["first"] <= facts["sweeps"][0]["first"] <= facts["sweeps"][1]["last"]


def test_one_that_is_damaged_does_not_hide_the_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = sweep(tmp_path, "seeds=1", name="broken")
    sweep(tmp_path, "seeds=1", name="whole")
    (broken.folder / "arms.jsonl").write_text("{")
    code, said, warned = told(tmp_path, capsys)
    assert code == 0
    assert "whole" in said
    assert "warning: broken: " in warned


def test_where_there_are_none_the_way_to_one_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for out in (tmp_path, tmp_path / "missing"):
        code, said, _ = told(out, capsys)
        assert (code, said.startswith(f"no sweep was started under {out}")) == (0, True)
    assert told(tmp_path, capsys, "--json")[1] == json.dumps({"out": str(tmp_path), "sweeps": [], "trouble": []}) + "\n"
