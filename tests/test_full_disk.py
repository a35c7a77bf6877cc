"""Disks that refuse to be written, at any moment: one sentence says which and why; with room again all goes on."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
import torch
from disks import KINDS, Broken, Disk, Files, Space, leftovers, mounted
from tiny import SMALL_MODEL, TINY, Silent, config, final_weights, run

from ablation.store import attempt, journal
from ablation.store.cause import cause
from ablation.store.file_errors import in_words
from ablation.store.result import finished


@cache
def settings() -> dict[str, Any]:
    return config(*TINY, *SMALL_MODEL, "regularizer=[ema,dropout]", "checkpoint.epochs=1")


@cache
def straight() -> Path:
    """The undisturbed run."""
    folder = Path(mkdtemp()) / "straight"
    run(settings(), folder)
    return folder


class At(Silent):
    """Does something after this epoch."""

    def __init__(self, epoch: int, act: Callable[[], None]) -> None:
        super().__init__()
        self.when, self.act = epoch, act

    def epoch(self, seed: int, epoch: int, metrics: Mapping[str, float]) -> None:
        if epoch == self.when:
            self.act()


def refusal(folder: Path, watch: Silent | None = None) -> str:
    """What a run there is refused with; empty if it is not."""
    try:
        run(settings(), folder, watch)
    except OSError as e:
        return f"{cause(e)}: {in_words(e)}"
    return ""


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_said_and_that_it_resumes(tmp_path: Path, kind: type[Disk]) -> None:
    with mounted(kind, tmp_path / "disk") as disk:
        folder, first = disk.folder / "arm", disk.folder / "arm/seed-0/attempt-1"
        told = refusal(folder, At(2, disk.fill))
        assert told.startswith((f"disk: {first}/next.pt: ", f"disk: {first}/journal.jsonl: ")), told
        assert kind.said in told
        assert "\n" not in told
        if kind is not Broken:  # where nothing can be deleted either
            assert leftovers(folder) == []
            disk.fill()
            assert kind.said in refusal(folder)
            assert leftovers(folder) == []
        disk.free()
        for path in leftovers(folder):  # the heartbeat's file, which says nothing once the process has ended
            path.unlink()
        check(folder)


@pytest.mark.parametrize(("kind", "steps", "size"), [(Files, 14, 1), (Space, 9, 384 << 10)])
def test_a_disk_that_is_full_at_any_moment(tmp_path: Path, kind: type[Disk], steps: int, size: int) -> None:
    """Each try has room for one file, or some KiB, more than the last one, and ends where that is used up."""
    with mounted(kind, tmp_path / "disk") as disk:
        refused = []
        for step in range(steps):
            folder = disk.folder / f"arm-{step}"
            disk.fill()
            disk.spare(step * size)
            if told := refusal(folder):
                assert told.startswith(f"disk: {folder}")
                assert leftovers(disk.folder) == []
                refused.append(told.split(":")[1].removeprefix(f" {folder}"))
            disk.free()
            check(folder)
            shutil.rmtree(folder)
        assert 4 < len(refused) < steps, refused
        assert len(set(refused)) > 1, refused


def check(folder: Path) -> None:
    """It ends as the undisturbed run, with every epoch once."""
    run(settings(), folder)
    result, seed = finished(folder / "seed-0"), folder / "seed-0"
    assert result is not None
    assert result["attempt"] == attempt.latest(seed)
    one, other = final_weights(straight()), final_weights(folder)
    assert [k for k in one if not torch.equal(one[k], other[k])] == []
    assert measured(folder) == measured(straight())
    assert leftovers(attempt.folder(seed, attempt.latest(seed))) == []
    assert list(folder.rglob("*.tmp")) + list(folder.rglob(".claim-*")) == []


def measured(folder: Path) -> list[dict[str, float]]:
    epochs = journal.history(journal.events(folder / "seed-0"))
    assert [e["epoch"] for e in epochs] == [1, 2, 3]
    return [{k: v for k, v in e["metrics"].items() if k != "images_per_s"} for e in epochs]


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.EFBIG, "the file is larger than a file may be here"),
        (errno.EIO, "fails to read or write (input/output error)"),
        (errno.ESTALE, "the file server no longer knows this file"),
        (errno.EMFILE, "too many files are open at once"),
        (errno.ENOENT, "No such file or directory"),
    ],
)
def test_others_in_words(tmp_path: Path, number: int, said: str) -> None:
    told = in_words(OSError(number, os.strerror(number), str(tmp_path / "file")))
    assert str(tmp_path / "file") in told
    assert said in told


def test_a_name_that_is_too_long(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="too long") as refused:
        (tmp_path / ("x" * 300)).touch()
    assert "the name is too long (300 bytes in one part" in in_words(refused.value)


def test_torch_says_it_in_its_own_words(tmp_path: Path) -> None:
    with mounted(Space, tmp_path / "disk") as disk:
        disk.fill()
        with pytest.raises(RuntimeError) as refused:
            torch.save(torch.zeros(1 << 20), disk.folder / "x.pt")
    assert cause(refused.value) == "disk"


def test_the_disk_is_to_blame_and_not_the_code() -> None:
    assert cause(OSError(errno.EROFS, os.strerror(errno.EROFS))) == "disk"
    assert cause(OSError(errno.EACCES, os.strerror(errno.EACCES))) == "error"
    assert cause(RuntimeError("(sqlite3.OperationalError) database or disk is full")) == "disk"
