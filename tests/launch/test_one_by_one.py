"""What some arms of a sweep cannot have: the line in the message says it arm by arm, and composes."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tiny import CONF, SMALL_MODEL, TINY


def run(line: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *line], cwd=CONF.parent, capture_output=True, text=True, timeout=200)


@pytest.mark.parametrize(
    ("typed", "own"),
    [
        (
            ["aug=mixup,[cutout,mixup],[]", "aug.mixup.alpha=0.3"],
            [["aug=mixup", "aug.mixup.alpha=0.3"], ["aug=[cutout,mixup]", "aug.mixup.alpha=0.3"], ["aug=[]"]],
        ),
        (
            ["loss=ce,refinery", "teacher=same"],
            [["loss=ce"], ["loss=refinery", "teacher=same"]],
        ),
        pytest.param(["loss=ce,refinery", "teacher='model=resnet32 epochs=2'"], None, marks=pytest.mark.slow),
    ],
)
def test_the_line_says_it_arm_by_arm(typed: list[str], own: Any, tmp_path: Path) -> None:
    common = [*TINY, *SMALL_MODEL, f"out={tmp_path}"]
    refused = run(["launch/run.py", "-m", *typed, *common, "hydra/launcher=plan"])
    assert refused.returncode == 2
    assert f"to give {typed[1]} to the arms that can have it, say them one by one: python " in refused.stderr
    line = shlex.split(refused.stderr.rpartition(": python ")[2])
    done = run([*line, "--json"])
    assert done.returncode == 0, done.stderr
    arms = [arm["overrides"] for arm in json.loads(done.stdout)["arms"]]
    if own is None:
        assert len(arms) == 3  # with the teacher
    else:
        left = [[text for text in arm if text not in common] for arm in arms]
        assert all(arm in left for arm in own)


def test_where_no_one_override_is_at_fault_nothing_is_offered(tmp_path: Path) -> None:
    refused = run(["launch/run.py", "-m", "epochs=1,-1", *TINY[:1], f"out={tmp_path}", "hydra/launcher=plan"])
    assert refused.returncode == 2
    assert "one by one" not in refused.stderr
