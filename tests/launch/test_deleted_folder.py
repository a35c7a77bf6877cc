"""Whoever types a command in a folder that was deleted meanwhile is told so, whatever the command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click import Context

from launch.cli import Verbs, main
from launch.compose.paths import ROOT

VERBS = Verbs().list_commands(Context(Verbs()))


@pytest.fixture
def deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (folder := tmp_path / "deleted").mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PWD", str(folder))
    folder.rmdir()
    return folder


@pytest.mark.parametrize("verb", VERBS)
def test_verbs(deleted: Path, capsys: pytest.CaptureFixture[str], verb: str) -> None:
    assert main([verb]) == 2
    said = capsys.readouterr().err
    assert said == f"error: {deleted}: was deleted while you are in it; cd to a folder that is there, and try again\n"
    if verb != "run":  # its help is Hydra's, which has to know where it is
        assert main([verb, "--help"]) == 0


@pytest.mark.parametrize("arguments", [["recipe=smoke"], ["-m", "hydra/launcher=plan"]])
def test_runs(deleted: Path, tmp_path: Path, arguments: list[str]) -> None:
    line = [sys.executable, str(ROOT / "launch" / "run.py"), *arguments, f"out={tmp_path}/runs"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert done.stderr.startswith(f"error: {deleted}: was deleted while you are in it")
