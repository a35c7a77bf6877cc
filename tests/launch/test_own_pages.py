"""What docs/own_trick.md and docs/own_data.md show is done as they say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pages
import pytest
from tiny import SMALL_MODEL, TINY

from launch.compose.arms import compose_arms
from launch.compose.hydra_version import initialized

ROOT = pages.ROOT


@pytest.mark.parametrize("line", [line for block in pages.code("own_trick.md", "bash") for line in block.splitlines()])
def test_an_own_trick(tmp_path: Path, line: str) -> None:
    mine = tmp_path / "mine"
    (mine / "mytricks").mkdir(parents=True)
    (mine / "conf/aug").mkdir(parents=True)
    (mine / "mytricks/shade.py").write_text(pages.code("own_trick.md", "python")[0])
    (mine / "conf/aug/shade.yaml").write_text(pages.code("own_trick.md", "yaml")[0])
    small = " ".join([*TINY, *SMALL_MODEL, "epochs=1", f"out={tmp_path / 'out'}"]).replace("[", r"\[")
    env = {**os.environ, "HOME": str(tmp_path), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", f"{line.replace('/home/me', str(tmp_path))} {small}"],
        cwd=ROOT, env=env, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list((tmp_path / "out").glob("*/seed-0/result.json"))) == 1 + ("-m" in line)


def test_own_arrays(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", pages.code("own_data.md", "python")[0]], cwd=tmp_path, check=True, timeout=60)
    with initialized():
        [planned] = compose_arms([["data=arrays", f"data.path={tmp_path / 'mine.npz'}", "batch_size=16"]])
    assert planned.config["data"]["content"]
