"""Checkpoints survive kills, torn writes and flipped bits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch

from ablation import checkpoint
from ablation.atomic import write_atomic


def content(step: int) -> dict[str, object]:
    return {"step": step, "weights": {"w": torch.full((1000,), float(step))}}


def steps(folder: Path) -> list[int]:
    return [c["step"] for c in checkpoint.load(folder)]


def test_newest_first_and_the_one_before_is_kept(tmp_path: Path) -> None:
    assert steps(tmp_path) == []
    for step in (1, 2, 3):
        checkpoint.save(tmp_path, content(step))
    assert steps(tmp_path) == [3, 2]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["last.pt", "previous.pt"]


@pytest.mark.parametrize("damage", ["flip", "torn", "empty", "foreign"])
def test_a_damaged_checkpoint_falls_back_with_a_warning(tmp_path: Path, damage: str) -> None:
    for step in (1, 2):
        checkpoint.save(tmp_path, content(step))
    last = tmp_path / "last.pt"
    blob = bytearray(last.read_bytes())
    blob[len(blob) // 2] ^= 1
    last.write_bytes({"flip": bytes(blob), "torn": blob[:-100], "empty": b"", "foreign": b"hello" * 20}[damage])
    with pytest.warns(UserWarning, match=r"last\.pt is damaged"):
        assert steps(tmp_path) == [1]


def test_a_kill_between_the_renames_loses_nothing(tmp_path: Path) -> None:
    for step in (1, 2):
        checkpoint.save(tmp_path, content(step))
    (tmp_path / "last.pt").rename(tmp_path / "next.pt")
    assert steps(tmp_path) == [2, 1]
    checkpoint.save(tmp_path, content(3))
    assert steps(tmp_path)[0] == 3


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, ("touch /tmp/should-not-exist",)

    checkpoint.save(tmp_path, {"step": 1, "evil": Evil()})
    with pytest.warns(UserWarning, match="damaged"):
        assert steps(tmp_path) == []


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    write_atomic(path, b"old")
    (tmp_path / f"result.json.{os.getpid()}.tmp").mkdir()  # the scratch file cannot be opened
    with pytest.raises(OSError, match="directory"):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"


SAVER = """
import sys, torch
from pathlib import Path
from ablation import checkpoint
from ablation.atomic import write_atomic
step = 0
while True:
    step += 1
    checkpoint.save(Path(sys.argv[1]), {"step": step, "w": torch.full((100_000,), float(step))})
    print(step, flush=True)
"""


def test_killed_while_saving_there_is_always_a_whole_one(tmp_path: Path) -> None:
    for round_ in range(4):
        with subprocess.Popen([sys.executable, "-c", SAVER, str(tmp_path)], stdout=subprocess.PIPE, text=True) as saver:
            assert saver.stdout is not None
            for _ in range(2 + 3 * round_):
                announced = int(saver.stdout.readline())
            saver.send_signal(signal.SIGKILL)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a torn newest one is allowed, an empty-handed resume is not
            found = next(checkpoint.load(tmp_path))
        assert found["step"] >= announced
        assert bool((found["w"] == found["step"]).all())
