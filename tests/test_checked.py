"""A configuration that was found right is known to be by other processes, as long as nothing it depends on changes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tiny import TINY
from tiny import config as composed

from ablation.errors import ConfigError
from ablation.trial import checked, training


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where it is remembered."""
    monkeypatch.setenv("ABLATION_CACHE", str(tmp_path))
    new_process(monkeypatch)
    return checked._FILE


def new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checked, "_FILE", checked._file())
    checked._known.cache_clear()


def never(*_: object) -> None:
    raise AssertionError("was built again")


def test_it_is_built_once_for_all_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    told = composed(*TINY, "sched=sgdr", "epochs=5")
    first = training.check(told)
    new_process(monkeypatch)
    monkeypatch.setattr(training, "parts", never)
    assert training.check({**told, "out": "elsewhere"}) == first
    with pytest.raises(AssertionError, match="built again"):
        training.check({**told, "epochs": 6})


def test_what_is_wrong_is_told_each_time(file: Path) -> None:
    told = composed(*TINY)
    wrong = {**told, "optim": {**told["optim"], "lr": -1}}
    for _ in range(2):
        with pytest.raises(ConfigError, match="lr"):
            training.check(wrong)
    assert not file.exists()


def test_the_tracker_is_looked_at_each_time() -> None:
    told = composed(*TINY)
    training.check(told)
    with pytest.raises(ConfigError, match=r"track\.none"):
        training.check({**told, "track": {"none": {"_target_": "ablation.track.no_such.sink"}}})


def test_somebody_elses_parts_are_not_remembered(file: Path) -> None:
    told: dict[str, Any] = {**composed(*TINY), "aug": {"mine": {"_target_": "mine.aug", "more": [1]}}}
    checked.remember(told, [])
    assert checked.recall(told) is None
    told["aug"] = {"ours": {"_target_": "ablation.aug.cutout.cutout", "inner": [{"_target_": "mine.aug"}]}}
    checked.remember(told, [])
    assert checked.recall(told) is None
    assert not file.exists()


@pytest.mark.parametrize("setting", [{"sweep": "../evil"}, {"out": 5}])
def test_where_it_is_recorded_is_looked_at_each_time(setting: dict[str, Any]) -> None:
    told = composed(*TINY)
    training.check(told)
    with pytest.raises(ConfigError, match=next(iter(setting))):
        training.check({**told, **setting})


@pytest.mark.parametrize("line", ["null", "5", "[[1],2]", '["key",5]', "[1,2,3]", "\0\0"])
def test_a_line_that_was_cut_off_or_damaged_is_passed_over(
    file: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    told = composed(*TINY)
    checked.remember(told, ["a note"])
    file.write_bytes(b'["half a li\n' + file.read_bytes() + line.encode() + b'\n["torn')
    new_process(monkeypatch)
    assert checked.recall(told) == ["a note"]
    assert json.loads(file.read_bytes().splitlines()[1])[1] == ["a note"]


def test_where_nothing_can_be_written_it_is_checked_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a file").touch()
    monkeypatch.setenv("ABLATION_CACHE", str(tmp_path / "a file"))
    new_process(monkeypatch)
    told = composed(*TINY)
    assert training.check(told) == training.check(told)
    new_process(monkeypatch)
    assert checked.recall(told) is None
