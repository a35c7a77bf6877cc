"""A GPU that is there, or was promised, is used or missed: never quietly replaced by the processor."""

from __future__ import annotations

import pytest
import torch

from ablation.errors import ConfigError, DeviceError
from ablation.machine import device
from ablation.machine.device import ROCM, Seen, check_architecture, choose_device, decide

NONE = Seen(usable=False, torch="2.14.1+cu130", built="13.0")
OLD = Seen(usable=False, counted=2, torch="2.14.1+cu130", built="13.0", driver="12.2")
CPU_BUILD = Seen(usable=False, files=2, torch="2.14.1+cpu")
VARIABLES = ("SLURM_JOB_GPUS", "SLURM_STEP_GPUS", "SLURM_GPUS_ON_NODE", "ABLATION_GPU", "CUDA_VISIBLE_DEVICES")


@pytest.mark.parametrize(
    ("seen", "chosen"),
    [
        (NONE, "cpu"),
        (Seen(usable=True, counted=2, built="13.0"), "cuda"),
        (CPU_BUILD, "cpu"),  # somebody chose a torch for processors, and nobody reserved a card
        (Seen(usable=False, counted=2, built="13.0", hidden=True), "cpu"),
        (Seen(usable=False, promised={"SLURM_JOB_GPUS": "0"}, built="13.0", hidden=True), "cpu"),
    ],
)
def test_auto_takes_what_is_there(seen: Seen, chosen: str) -> None:
    assert decide("auto", seen) == torch.device(chosen)


@pytest.mark.parametrize("asked", ["auto", "cuda", "cuda:1"])
@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (OLD, r"NVML counts 2.*needs a driver for CUDA 13.0, and the one here knows CUDA 12.2 at most: update"),
        (Seen(usable=False, files=1, built="13.0"), "devices in /dev: 1.*no NVIDIA driver answers.*nvidia-smi"),
        (Seen(usable=False, promised={"SLURM_JOB_GPUS": "0"}, torch="2.14.1+cpu"), "SLURM_JOB_GPUS=0.*without CUDA"),
        (Seen(usable=False, promised={"ABLATION_GPU": "1"}, built="13.0"), "ABLATION_GPU=1.*no NVIDIA driver answers"),
        (
            Seen(usable=False, counted=1, built="12.8", driver="13.0", said="Error 802: system not yet initialized"),
            "cannot use it: Error 802",
        ),
        (
            Seen(usable=False, promised={"SLURM_JOB_GPUS": "0"}, built=ROCM, said="No HIP GPUs"),
            "ROCm cannot use it: No HIP",
        ),
    ],
)
def test_what_is_there_and_cannot_be_used_is_an_error_with_the_way_out(asked: str, seen: Seen, said: str) -> None:
    with pytest.raises(DeviceError, match=f"device={asked}: there should be a GPU here.*{said}.*device=cpu"):
        decide(asked, seen)
    assert decide("cpu", seen) == torch.device("cpu")


def test_a_gpu_that_nobody_promised_is_a_wrong_configuration() -> None:
    with pytest.raises(ConfigError, match="device=cuda: torch sees 0 GPUs"):
        decide("cuda", NONE)
    with pytest.raises(ConfigError, match="device=cuda:2: torch sees 2 GPUs"):
        decide("cuda:2", Seen(usable=True, counted=2))
    assert decide("cuda:1", Seen(usable=True, counted=2)) == torch.device("cuda:1")


@pytest.mark.parametrize(
    ("capability", "built_for", "runs"),
    [
        ((8, 0), ["sm_75", "sm_80"], True),
        ((8, 9), ["sm_75", "sm_80", "sm_86"], True),  # code of the same generation
        ((7, 0), ["sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120", "compute_120"], False),  # V100 and CUDA 13
        ((7, 0), ["sm_50", "sm_60", "sm_70"], True),
        ((12, 0), ["sm_80", "sm_90"], False),
        ((12, 0), ["sm_80", "compute_90"], True),  # compiled by the driver
        ((9, 0), ["sm_90a"], True),
        ((12, 1), ["sm_120a"], False),  # for 12.0 and nothing else
        ((12, 1), ["compute_90a"], False),
    ],
)
def test_whether_this_torch_has_code_for_a_gpu(capability: tuple[int, int], built_for: list[str], runs: bool) -> None:
    if runs:
        check_architecture("a GPU", capability, built_for)
        return
    with pytest.raises(DeviceError, match=rf"compute capability {capability[0]}\.{capability[1]}.*no code.*install"):
        check_architecture("a GPU", capability, built_for)


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
@pytest.mark.parametrize(
    ("said", "promised"),
    [
        ({"SLURM_JOB_GPUS": "0"}, True),
        ({"SLURM_STEP_GPUS": "3"}, True),
        ({"SLURM_GPUS_ON_NODE": "1"}, True),
        ({"SLURM_GPUS_ON_NODE": "0"}, False),
        ({"CUDA_VISIBLE_DEVICES": "GPU-5e1f"}, True),
        ({"CUDA_VISIBLE_DEVICES": ""}, False),
        ({"SLURM_JOB_GPUS": "0", "CUDA_VISIBLE_DEVICES": ""}, False),
        ({"CUDA_VISIBLE_DEVICES": "NoDevFiles"}, False),
    ],
)
def test_this_machine_with_the_variables_of_another(
    bare: pytest.MonkeyPatch, said: dict[str, str], promised: bool
) -> None:
    for name, value in said.items():
        bare.setenv(name, value)
    if promised:
        with pytest.raises(DeviceError, match=next(iter(said))):
            choose_device("auto")
    elif not device.look().counted:
        assert choose_device("auto") == torch.device("cpu")
