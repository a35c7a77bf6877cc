"""A configuration that was found right is known to be by other processes, as long as nothing it depends on changes."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tiny import CONF, TINY
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


def lines(file: Path) -> bytes:
    return file.read_bytes() if file.exists() else b""


def never(*_: object) -> None:
    raise AssertionError("was built again")


def test_it_is_built_once_for_all_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    told = composed(*TINY, "sched=sgdr", "epochs=5")
    first = checked.check(told)
    new_process(monkeypatch)
    monkeypatch.setattr(training, "parts", never)
    assert checked.check({**told, "out": "elsewhere"}) == first
    with pytest.raises(AssertionError, match="built again"):
        checked.check({**told, "epochs": 6})


def test_what_is_wrong_is_told_each_time(file: Path) -> None:
    told = composed(*TINY)
    wrong, before = {**told, "optim": {**told["optim"], "lr": -1}}, file.read_bytes()
    for _ in range(2):
        with pytest.raises(ConfigError, match="lr"):
            checked.check(wrong)
    assert file.read_bytes() == before


def test_the_tracker_is_looked_at_each_time() -> None:
    told = composed(*TINY)
    checked.check(told)
    with pytest.raises(ConfigError, match=r"track\.none"):
        checked.check({**told, "track": {"none": {"_target_": "ablation.track.no_such.sink"}}})


@pytest.mark.parametrize("inside", [False, True])
def test_somebody_elses_parts_are_not_remembered(file: Path, inside: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs: dict[str, Any] = {"_target_": f"{__name__}.Named", "name": "mine"}
    ours = {"_target_": "ablation.aug.cutout.cutout", "size": 8, "inner": [theirs]}
    told: dict[str, Any] = {**composed(*TINY), "aug": {"mine": ours if inside else theirs}}
    before = lines(file)  # composing remembers what options take, where no test of this process composed it before
    asked = []
    monkeypatch.setattr(training, "check", lambda config: asked.append(config) or [])
    assert [checked.check(told), checked.check(told)] == [[], []]
    assert len(asked) == 2
    assert [*checked.arguments(theirs, "aug.mine")] == ["name"]
    assert lines(file) == before


class Named:
    """Somebody else's part."""

    def __init__(self, name: str) -> None:
        self.name = name


def test_what_an_option_takes_is_looked_at_once_for_all_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    cutout = {"_target_": "ablation.aug.cutout.cutout"}
    assert "size" in checked.arguments(cutout, "aug.cutout")
    new_process(monkeypatch)
    monkeypatch.setattr(checked, "factory", never)
    assert "size" in checked.arguments(cutout, "aug.cutout")
    with pytest.raises(AssertionError, match="built again"):
        checked.arguments({"_target_": "ablation.aug.mixup.mixup"}, "aug.mixup")


_PROGRAM = """
import importlib, pathlib, sys
from ablation.trial import checked

for word in sys.argv[1:]:
    if word == "import":
        importlib.import_module("ablation.track.mlflow")
    elif word == "edit":
        with pathlib.Path("ablation/track/mlflow.py").open("a") as file: file.write("# edited")
    else:
        checked.arguments({"_target_": "ablation.track.mlflow.mlflow"}, "track.mlflow")
"""


@pytest.mark.parametrize(
    ("did", "remembered"), [("ask", True), ("import ask", True), ("edit ask", False), ("import edit ask", False)]
)
def test_code_that_was_edited_meanwhile_is_not_taken_as_checked(tmp_path: Path, did: str, remembered: bool) -> None:
    """Neither what it was at first nor what it is then: which of them this process has imported is not known."""
    shutil.copytree(CONF.parent / "ablation", tmp_path / "ablation", ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run([sys.executable, "-c", _PROGRAM, *did.split()], cwd=tmp_path, check=True, timeout=60)
    assert bool([*tmp_path.glob("checked/*")]) == remembered


@pytest.mark.parametrize("setting", [{"sweep": "../evil"}, {"out": 5}])
def test_where_it_is_recorded_is_looked_at_each_time(setting: dict[str, Any]) -> None:
    told = composed(*TINY)
    checked.check(told)
    with pytest.raises(ConfigError, match=next(iter(setting))):
        checked.check({**told, **setting})


@pytest.mark.parametrize("line", ["null", "5", "[[1],2]", '["key",5]', "[1,2,3]", "\0\0"])
def test_a_line_that_was_cut_off_or_damaged_is_passed_over(
    file: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    cutout = {"_target_": "ablation.aug.cutout.cutout"}
    names = checked.arguments(cutout, "aug.cutout")
    file.write_bytes(b'["half a li\n' + file.read_bytes() + line.encode() + b'\n["torn')
    new_process(monkeypatch)
    monkeypatch.setattr(checked, "factory", never)
    assert checked.arguments(cutout, "aug.cutout") == names


def test_where_nothing_can_be_written_it_is_checked_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a file").touch()
    monkeypatch.setenv("ABLATION_CACHE", str(tmp_path / "a file"))
    new_process(monkeypatch)
    told = composed(*TINY)
    assert checked.check(told) == checked.check(told)
    new_process(monkeypatch)
    monkeypatch.setattr(training, "parts", never)
    with pytest.raises(AssertionError, match="built again"):
        checked.check(told)
