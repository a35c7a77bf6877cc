"""Installed from a wheel, without a checkout: options, tables and verbs are there, and sweeps run from any folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from tiny import SMALL_MODEL, TINY

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the wheel has. Dependencies come from this environment, the project does not."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"  # a build leaves files in the checkout
    for name in ("ablation", "launch", "results", "conf"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "runs", "*.db"))
    for name in ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-cache-dir", "-w", str(folder), str(source)]
    subprocess.run(build, check=True, timeout=300)
    (wheel,) = folder.glob("ablation-*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(folder / "site")
    return folder / "site"


def call(site: Path, cwd: Path, *words: str) -> str:
    line = [sys.executable, "-P", "-m", "launch", *words]
    env = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run(line, cwd=cwd, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_options_are_where_the_code_is(site: Path) -> None:
    assert {path.name for path in (site / "launch" / "conf").iterdir()} == {p.name for p in (ROOT / "conf").iterdir()}
    assert not (site / "conf").exists()
    assert not (site / "tests").exists()


def test_a_sweep_from_any_folder(site: Path, tmp_path: Path) -> None:
    said = call(
        site, tmp_path, "run", "-m", *TINY, *SMALL_MODEL, "optim.lr=0.1,0.2", "hydra.launcher.workers=1", "out=runs"
    )
    assert "2 of 2 done" in said
    status = json.loads(call(site, tmp_path, "status", "--out", "runs", "--json"))
    assert status["totals"] == {"done": 2}
    (folder,) = (tmp_path / "runs/.sweeps/main").glob("[0-9]*")
    assert json.loads((folder / "submission.json").read_text())["command"].startswith("ablation run -m ")
    assert "lab/open" in call(site, tmp_path, "table")
