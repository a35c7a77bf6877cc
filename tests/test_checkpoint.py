"""Checkpoints survive kills, torn writes and flipped bits."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from ablation.store import checkpoint
from ablation.store.atomic import write_atomic


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
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            write_atomic(path, b"new" * 1000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["result.json"]


def test_writers_that_share_a_pid_do_not_disturb_each_other(tmp_path: Path) -> None:
    """As processes of several machines may: here, threads of one."""
    path = tmp_path / "config.yaml"
    with ThreadPoolExecutor(8) as pool:
        for written in [pool.submit(write_atomic, path, bytes([n]) * 5000) for n in range(200)]:
            written.result()
    assert len(set(path.read_bytes())) == 1
    assert path.stat().st_size == 5000
    assert [p.name for p in tmp_path.iterdir()] == ["config.yaml"]


@pytest.mark.parametrize("saved", [0, 1, 2])
def test_its_owner_may_save_while_it_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, saved: int) -> None:
    """The renames happen just before `last.pt` is read; without an earlier checkpoint, just after it was missed."""
    for step in range(1, saved + 1):
        checkpoint.save(tmp_path, content(step))
    read, moment = Path.read_bytes, "last.pt" if saved else "previous.pt"

    def interrupted(path: Path) -> bytes:
        if path.name == moment:
            monkeypatch.undo()
            if saved:
                (tmp_path / "last.pt").rename(tmp_path / "previous.pt")
            else:
                checkpoint.save(tmp_path, content(1))
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", interrupted)
    assert steps(tmp_path) == [max(1, saved)]


SAVER = """
import sys, torch
from pathlib import Path
from ablation.store import checkpoint
from ablation.store.atomic import write_atomic
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
