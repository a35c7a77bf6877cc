"""Workers, sweeps and single runs whose disks take nothing more; of trials alone it is tests/test_full_disk.py."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from disks import Broken, Disk, Quota, Space, leftovers, mounted

from tests.launch.workshop import BASE, ROOT, Worker, submission

SCRIPT = [sys.executable, "launch/run.py"]


def test_a_worker_outlives_the_disk_and_its_own_log(tmp_path: Path) -> None:
    with mounted(Space, tmp_path / "disk") as disk:
        made = submission(disk.folder / "runs", [], ["optim.lr=0.2"])
        first, second = made.works
        with (disk.folder / "log").open("wb") as log, Worker(made, log) as worker:
            worker.event("ready")
            disk.fill()
            worker.train(first)
            (outcome,) = worker.event("end")["outcomes"].values()
            assert (outcome["state"], outcome["cause"]) == ("failed", "disk")
            assert outcome["message"].startswith(f"{made.out}/{first.id}/")
            assert Space.said in outcome["message"]
            assert leftovers(made.out) == []
            disk.free()
            for work in (second, first):
                worker.train(work)
                (outcome,) = worker.event("end")["outcomes"].values()
                assert outcome["state"] == "done"
        assert "Traceback" not in (disk.folder / "log").read_text()


def test_a_run_whose_log_home_and_temporary_files_find_no_room(tmp_path: Path) -> None:
    with mounted(Space, tmp_path / "disk") as disk:
        disk.fill()
        places = {"HOME": str(disk.folder), "TMPDIR": str(disk.folder), "ABLATION_CACHE": ""}
        with (disk.folder / "filler-1").open("ab") as full:
            line = [*SCRIPT, *BASE, f"out={tmp_path / 'runs'}"]
            assert (
                subprocess.run(line, cwd=ROOT, env={**os.environ, **places}, stdout=full, stderr=full).returncode == 0
            )
        assert len(list(tmp_path.glob("runs/*/seed-0/result.json"))) == 1


def test_what_was_submitted_outlasts_a_disk_that_breaks(tmp_path: Path) -> None:
    """As a power cut does: what is not on the disk by then is lost."""
    with mounted(Broken, tmp_path / "disk") as disk:
        made = submission(disk.folder / "runs", [])
        files = {path: path.read_bytes() for path in made.out.rglob("*") if path.is_file()}
        disk.fill()
        disk.free()
        assert len(files) > 100
        assert [path for path, content in files.items() if not path.exists() or path.read_bytes() != content] == []


@pytest.mark.parametrize("kind", [Space, Quota, Broken])
def test_a_sweep_that_cannot_be_begun(tmp_path: Path, kind: type[Disk]) -> None:
    """One line, nothing half done, and with room again it runs."""
    with mounted(kind, tmp_path / "disk") as disk:
        (disk.folder / "runs").mkdir()
        os.sync()  # what is only in memory cannot be read any more once the disk has broken
        disk.fill()
        with pytest.raises(OSError, match=str(disk.folder)) as refused:
            submission(disk.folder / "runs", [])
        assert leftovers(disk.folder) == []
        assert not list(disk.folder.rglob("submission.json"))
        assert refused.value.filename.startswith(str(disk.folder / "runs"))
        disk.free()
        assert len(submission(disk.folder / "runs", []).works) == 1
