"""Launching and training meet in `ablation/trial/program.py`: who only reads waits for no library that computes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from launch.cli import group
from tests.launch.handmade import epoch, failed, finish, make, seed_folder, start, sweep

ROOT = Path(__file__).resolve().parents[2]

# Of each step, an expression, what it gave and what of these it was the first to import.
RUN = """
import importlib, io, json, sys
from contextlib import redirect_stdout
HEAVY = ("torch", "mlflow", "matplotlib", "pandas")
found = []
for step in json.loads(sys.argv[1]):
    before = {*sys.modules}
    with redirect_stdout(io.StringIO()):
        value = eval(step)
    found.append([value, [heavy for heavy in HEAVY if heavy in sys.modules and heavy not in before]])
print(json.dumps(found, default=str))
"""


def done(steps: list[str]) -> list[tuple[Any, list[str]]]:
    """One after the other in a new process: the value of each, and the libraries that came with it."""
    line = [sys.executable, "-P", "-c", RUN, json.dumps(steps)]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(line, capture_output=True, text=True, timeout=300, cwd=ROOT, env=env)
    assert ran.returncode == 0, ran.stderr
    return [(value, heavy) for value, heavy in json.loads(ran.stdout)]


def test_no_module_of_launch_imports_what_computes() -> None:
    files = [path.relative_to(ROOT) for path in sorted((ROOT / "launch").rglob("*.py")) if path.stem != "__main__"]
    names = [".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in files]
    assert len(names) > 50
    found = done([f"importlib.import_module({name!r})" for name in names])
    assert {name: heavy for name, (_, heavy) in zip(names, found, strict=True) if heavy} == {}


@pytest.fixture
def ended(tmp_path: Path) -> Path:
    """A sweep of which nothing is in flight: two trials done, one failed."""
    made = sweep(tmp_path, "aug=cutout", "aug=mixup", "aug=ricap")
    for arm in (0, 1):
        make(seed_folder(made, arm), 1, start(), epoch(1))
        finish(seed_folder(made, arm))
    make(seed_folder(made, 2), 1, start(), failed("error"))
    return tmp_path


def test_verbs_that_only_read_import_nothing_that_computes(ended: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ABLATION_CACHE", str(ended.parent / "cache"))  # with nothing in it that was checked before
    verbs = [name for name in group.list_commands(click.Context(group)) if name != "run"]  # its help is Hydra's
    steps = {f"{name} --help": 0 for name in verbs}
    steps |= {"status": 1, "watch": 1, "logs": 0, "logs --failed": 0, "explain {0} {1}": 0, "cancel --yes": 0}
    steps |= {"explain {0}": 0}  # to compose is to check, which takes the parts of a network
    ids = sorted(path.parent.name for path in ended.glob("*/arm.json"))
    lines = [[*step.format(*ids).split(), *(["--out", str(ended)] * ("--help" not in step))] for step in steps]
    found = done([f"importlib.import_module('launch.cli').main({line!r})" for line in lines])
    assert {step: code for step, (code, _) in zip(steps, found, strict=True)} == steps
    assert {step: heavy for step, (_, heavy) in zip(steps, found, strict=True) if heavy} == {"explain {0}": ["torch"]}
