"""What each worker is given."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from tiny import TINY

from ablation.errors import ConfigError, DeviceError
from ablation.machine import allowance, device
from ablation.machine.device import Seen
from launch.compose.arm import Planned
from launch.compose.arms import compose_arms
from launch.compose.hydra_version import initialized
from launch.workers import devices

OPTIONS = {"gpus": "auto", "per_gpu": 1, "workers": "auto"}


@pytest.fixture(scope="module")
def six() -> list[Planned]:
    """An arm of six trials, for any device."""
    with initialized():
        return compose_arms([[*TINY, "device=auto", "seeds=6"]])


def machine(
    monkeypatch: pytest.MonkeyPatch,
    cores: int = 4,
    gpus: int = 0,
    visible: str = "",
    gib: int = 64,
    usable: bool = True,
) -> None:
    monkeypatch.setattr(allowance, "cores", lambda: cores)
    monkeypatch.setattr(allowance, "memory", lambda: gib << 30)
    monkeypatch.setattr("launch.workers.devices.Load.taken", lambda self: 0.0)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("torch.cuda.device_count", lambda: gpus)
    monkeypatch.setattr(device, "look", lambda: Seen(usable=usable and gpus > 0, counted=gpus, built="13.0"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)


@pytest.mark.parametrize(
    ("cores", "gib", "workers", "expected"),
    [
        (4, 64, "auto", (4, 1)),
        (16, 64, "auto", (6, 2)),  # no more than trials, and the cores are shared out
        (16, 8, "auto", (4, 4)),  # no more than fit in memory
        (1, 1, "auto", (1, 1)),
        (4, 64, 2, (2, 2)),
        (4, 64, 9, (9, 1)),
    ],
)
def test_the_cores_are_shared_out(
    monkeypatch: pytest.MonkeyPatch, six: list[Planned], cores: int, gib: int, workers: Any, expected: tuple[int, int]
) -> None:
    machine(monkeypatch, cores, gib=gib)
    chosen = devices.choose_slots({**OPTIONS, "workers": workers}, six)
    assert (len(chosen), {int(s.env["OMP_NUM_THREADS"]) for s in chosen}) == (expected[0], {expected[1]})
    assert all(s.env["MKL_NUM_THREADS"] == s.env["OMP_NUM_THREADS"] for s in chosen)
    assert {s.device for s in chosen} == {"cpu"}
    assert len({s.name for s in chosen}) == expected[0]


@pytest.mark.parametrize(
    ("visible", "per_gpu", "asked", "expected"),
    [
        ("", 1, "auto", ["0", "1", "2"]),
        ("4,5,7", 1, "auto", ["4", "5", "7"]),
        ("GPU-a,GPU-b,GPU-c", 1, [2, 0], ["GPU-c", "GPU-a"]),
        ("", 2, [1], ["1", "1"]),
    ],
)
def test_each_worker_sees_one_gpu(
    monkeypatch: pytest.MonkeyPatch, six: list[Planned], visible: str, per_gpu: int, asked: Any, expected: list[str]
) -> None:
    machine(monkeypatch, gpus=3, visible=visible)
    chosen = devices.choose_slots({**OPTIONS, "gpus": asked, "per_gpu": per_gpu}, six)
    assert [s.env["CUDA_VISIBLE_DEVICES"] for s in chosen] == expected
    assert [s.memory_share for s in chosen] == [1 / per_gpu] * len(expected)
    assert all(s.gpu for s in chosen)


def test_what_trials_on_one_gpu_wait_for_is_said(
    monkeypatch: pytest.MonkeyPatch, six: list[Planned], tmp_path: Path
) -> None:
    machine(monkeypatch, cores=2, gpus=2)
    monkeypatch.setenv("CUDA_MPS_PIPE_DIRECTORY", str(tmp_path / "mps"))
    turns, cores = devices.notes(devices.choose_slots({**OPTIONS, "per_gpu": 4}, six))
    assert turns.startswith("hydra.launcher.per_gpu=4: trials on one GPU take turns")
    assert cores.startswith("8 trials run side by side on 2 cores")
    (tmp_path / "mps").mkdir()
    assert devices.notes(devices.choose_slots({**OPTIONS, "per_gpu": 4}, six)) == [cores]
    assert devices.notes(devices.choose_slots(OPTIONS, six)) == []
    machine(monkeypatch)
    assert devices.notes(devices.choose_slots(OPTIONS, six)) == []


def test_no_gpu_is_used_when_none_is_wanted(monkeypatch: pytest.MonkeyPatch, six: list[Planned]) -> None:
    machine(monkeypatch, gpus=3)
    chosen = devices.choose_slots({**OPTIONS, "gpus": []}, six)
    assert {(s.device, s.gpu) for s in chosen} == {("cpu", False)}


def test_gpus_that_cannot_be_used_are_not_passed_over(monkeypatch: pytest.MonkeyPatch, six: list[Planned]) -> None:
    machine(monkeypatch, gpus=3, usable=False)
    with pytest.raises(DeviceError, match="NVML counts 3"):
        devices.choose_slots(OPTIONS, six)
    assert devices.choose_slots({**OPTIONS, "gpus": []}, six)[0].device == "cpu", "unless none is wanted"


@pytest.mark.parametrize(
    ("options", "device", "said"),
    [
        ({"workers": 0}, "auto", "workers=0: give auto or a whole number"),
        ({"workers": "many"}, "auto", "workers=many: give auto or"),
        ({"per_gpu": 0.5}, "auto", "per_gpu=0.5: give a whole number"),
        ({"gpus": "0,1"}, "auto", "gpus=0,1: give auto, or a list"),
        ({"gpus": [1]}, "auto", "GPU 1 is not visible here; there are 0"),
        ({}, "cuda", "no GPU is visible here"),
        ({}, "cuda:1", r"gpus=\[1\]"),
    ],
)
def test_what_this_machine_lacks_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, options: dict[str, Any], device: str, said: str
) -> None:
    machine(monkeypatch)
    with initialized():
        planned = compose_arms([[*TINY, f"device={device}"]])
    with pytest.raises(ConfigError, match=said):
        devices.choose_slots({**OPTIONS, **options}, planned)


def test_the_limits_of_a_container_are_kept(tmp_path: Path) -> None:
    own, inner = tmp_path / "own", tmp_path / "root" / "pod" / "box"
    own.write_text("1:cpu:/elsewhere\n0::/pod/box\n")
    inner.mkdir(parents=True)
    free = allowance.cores(inner, own), allowance.memory(inner, own)
    (inner / "cpu.max").write_text("max 100000\n")
    (inner / "memory.max").write_text("max\n")
    assert (allowance.cores(tmp_path / "root", own), allowance.memory(tmp_path / "root", own)) == free
    (inner / "cpu.max").write_text("50000 100000\n")
    (inner / "memory.max").write_text(f"{64 << 20}\n")
    (inner.parent / "memory.max").write_text(f"{32 << 20}\n")
    assert (allowance.cores(tmp_path / "root", own), allowance.memory(tmp_path / "root", own)) == (1, 32 << 20)


def test_workers_of_several_threads_leave_busy_cores_to_others(
    monkeypatch: pytest.MonkeyPatch, six: list[Planned]
) -> None:
    machine(monkeypatch, 24, gib=64)
    monkeypatch.setattr("launch.workers.devices.Load.taken", lambda self: 11.6)
    chosen = devices.choose_slots({**OPTIONS, "workers": "auto"}, six)
    assert (len(chosen), {s.env["OMP_NUM_THREADS"] for s in chosen}) == (6, {"2"})


def test_workers_have_no_more_threads_than_the_user_says(monkeypatch: pytest.MonkeyPatch, six: list[Planned]) -> None:
    machine(monkeypatch, 24, gib=64)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert {s.env["OMP_NUM_THREADS"] for s in devices.choose_slots({**OPTIONS, "workers": "auto"}, six)} == {"3"}
    monkeypatch.setenv("OMP_NUM_THREADS", "9")
    assert {s.env["OMP_NUM_THREADS"] for s in devices.choose_slots({**OPTIONS, "workers": "auto"}, six)} == {"4"}


def test_only_what_the_kernel_killed_in_our_group_is_counted(tmp_path: Path) -> None:
    """Another job on the node that was out of memory does not make ours so."""
    own, root, machine = tmp_path / "own", tmp_path / "root", tmp_path / "vmstat"
    machine.write_text("nr_free_pages 1\noom_kill 7\n")

    def counted(groups: str, file: str, text: str) -> int:
        shutil.rmtree(root, ignore_errors=True)
        (root / file).parent.mkdir(parents=True)
        (root / file).write_text(text)
        own.write_text(groups)
        return allowance.oom_kills(root, own, machine)

    first, second = "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n", "low 0\noom 3\noom_kill 2\n"
    assert counted("4:memory:/job\n0::/\n", "memory/job/memory.oom_control", first) == 2
    assert counted("4:memory:/outside\n", "memory/memory.oom_control", first) == 2, "a container's is the root"
    assert counted("0::/job\n", "job/memory.events", second) == 2
    assert counted("0::/outside\n", "memory.events", second) == 2
    assert counted("0::/\n", "cpu.stat", "") == 7
    assert allowance.oom_kills(root, tmp_path / "none", tmp_path / "none") == 0
