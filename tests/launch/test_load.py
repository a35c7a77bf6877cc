"""Other processes' share of the cores, and the number of threads that follows from it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ablation.errors import ConfigError
from ablation.machine import allowance, threads
from launch.workers.devices import Load, give_way

LINUX = pytest.mark.skipif(not Path("/proc/stat").exists(), reason="only Linux tells how busy each core is")


def table(folder: Path, busy: float) -> Path:
    """What the kernel tells, with so many seconds of others' work on each core."""
    path = folder / "stat"
    rows = [f"cpu{n} {round(busy * 100)} 999 0 5000 0 0 0 0 0 0" for n in os.sched_getaffinity(0)]
    path.write_text("\n".join(["cpu 1 2 3", *rows, "cpu999 77777 0 0 0 0 0 0 0 0 0", "ctxt 5"]))
    return path


@LINUX
def test_cores_that_others_keep_busy_are_left_to_them(tmp_path: Path) -> None:
    load = Load(table(tmp_path, 0.0))
    assert load.free() == allowance.cores()
    table(tmp_path, 1000.0)
    assert load.free() == 1, "there is always one"


@LINUX
def test_where_the_kernel_does_not_tell_all_allowed_cores_are_free(tmp_path: Path) -> None:
    assert Load(tmp_path / "none").free() == allowance.cores()


@LINUX
def test_what_this_process_computes_itself_is_not_others(tmp_path: Path) -> None:
    load, began = Load(table(tmp_path, 0.0)), sum(os.times()[:4])
    while (own := sum(os.times()[:4]) - began) < 0.6:
        pass
    table(tmp_path, own / len(os.sched_getaffinity(0)))
    assert load.free() == allowance.cores()


def test_a_number_that_the_user_gave_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    before = torch.get_num_threads()
    assert give_way(Load(tmp_path / "none")) == []
    assert torch.get_num_threads() == before


def test_a_trial_goes_on_with_the_threads_it_began_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    before = torch.get_num_threads()
    with threads.as_begun(2) as now:
        assert now == torch.get_num_threads() == 2
    with threads.as_begun(8) as now:
        assert now == 3, "no more than there may be"
    with threads.as_begun(None) as now:
        assert now == before
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("module", ["ablation.trial.training", "ablation.key"])
def test_openmp_is_told_how_to_wait_before_torch_is_loaded(module: str) -> None:
    env = {k: v for k, v in os.environ.items() if k not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
    code = (
        "import sys, os\n"
        "class Watch:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'torch': print(os.environ.get('OMP_WAIT_POLICY')); sys.exit()\n"
        "sys.meta_path.insert(0, Watch())\n"
        f"import {module}\n"
    )
    told = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["passive"]


@pytest.mark.parametrize("said", ["0", "-1", "abc", "", "2,", "2,0"])
def test_a_number_of_threads_that_is_none_is_refused(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    with pytest.raises(ConfigError, match=f"^OMP_NUM_THREADS={said}: give a whole number of at least 1"):
        threads.check()


@pytest.mark.parametrize("said", ["1", "16", "4,2"])
def test_numbers_of_threads_are_well(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    threads.check()
