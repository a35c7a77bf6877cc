"""Trials under a seeded stream of faults: none lost or doubled, nothing left over, every message true.

The long ones take longer than a run of the tests may: `pytest -m slow tests/slurm/test_soak.py -o run_limit=0`.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.usefixtures("slurm_installed")
@pytest.mark.parametrize(("seed", "minutes"), [(7, 1.5), (1, 20), (2, 20), (3, 20)])
def test_every_trial_is_done_once_whatever_happens(tmp_path: Path, seed: int, minutes: float) -> None:
    summary = tmp_path / "soak.md"
    line = [sys.executable, "-m", "slurm.soak", f"--seed={seed}", f"--minutes={minutes}", f"--summary={summary}"]
    done = subprocess.run(line, cwd=Path(__file__).parents[1], capture_output=True, text=True)
    assert done.returncode == 0, summary.read_text() if summary.exists() else done.stderr
