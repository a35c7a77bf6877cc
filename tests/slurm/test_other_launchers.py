"""submitit's own launcher for Hydra on the cluster: it runs, says what came out, and names our keys for its own."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

import pytest
from slurm.cluster import Cluster, until
from tiny import SMALL_MODEL, TINY

from launch.compose.paths import ROOT


@pytest.mark.slow
@pytest.mark.skipif(
    not list(distributions(name="hydra-submitit-launcher")), reason="needs pip install hydra-submitit-launcher"
)
def test_submitit_slurm(cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "brake").mkdir()
    (tmp_path / "brake" / "1").write_text("error")
    line = [sys.executable, "launch/run.py", "-m", "hydra/launcher=submitit_slurm", "hydra.launcher.partition=gpu"]
    line += ["hydra.launcher.timeout_min=5", "hydra.launcher.mem_gb=1", *TINY, *SMALL_MODEL, f"out={tmp_path}/runs"]
    line += ["+aug.brake._target_=brake.brake", "+aug.brake.arm=0,1"]
    path = os.pathsep.join([str(ROOT / "tests" / "slurm"), os.environ.get("PYTHONPATH", "")])
    env = {**os.environ, "PYTHONPATH": path, "BRAKE": str(tmp_path / "brake")}
    done = subprocess.run(line, cwd=ROOT, env=env, capture_output=True, text=True, timeout=300)
    assert (done.returncode, "2 trials: 1 done, 1 failed" in done.stdout) == (1, True), done.stderr
    keys = "hydra.launcher.resources.partition=gpu hydra.launcher.resources.time=5 hydra.launcher.resources.mem=1G"
    assert f"; hydra/launcher=slurm {keys} does all that\n" in done.stderr
    assert done.stderr.endswith("error: 1 of 2 arms failed: RuntimeError: the trick is broken\n")
    until(lambda: not cluster.queue(), "its jobs to end")
