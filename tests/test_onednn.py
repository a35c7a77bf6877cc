"""What is trained runs in a process of its own: where memory was damaged the process dies, at any later time."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.func import functional_call

from ablation.machine.onednn import guard

HERE = Path(__file__).resolve().parent
INSTRUCTIONS = {"avx2": {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}, "its own": {}}
# Of what oneDNN says of each primitive: jit_1x1:avx2,backward_weights,...,mb4_ic3oc8_ih64oh32kh1sh2dh0ph0_iw64ow32...
SAID = re.compile(r"convolution,jit\w*_1x1:\w+,backward_weights,.*_ic(\d+)oc\d+_ih(\d+)oh(\d+)k.*_iw(\d+)ow(\d+)k")
x86 = pytest.mark.skipif(platform.machine().lower() not in {"x86_64", "amd64"}, reason="the kernel is for x86-64")


def run(case: str, instructions: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **INSTRUCTIONS[instructions], "ONEDNN_VERBOSE": "2", "PYTHONPATH": f"{HERE.parent}:{HERE}"}
    return subprocess.run([sys.executable, str(HERE / "narrow.py"), case], env=env, capture_output=True, text=True)


def reached(output: str) -> list[str]:
    """What oneDNN said of its kernel, where it has fewer channels than it takes at a time and there is a stride."""
    said = [match for line in output.splitlines() if (match := SAID.search(line))]
    return [m.string for m in said if int(m[1]) < 16 and (m[2] != m[3] or m[4] != m[5])]


@x86
@pytest.mark.parametrize("instructions", INSTRUCTIONS)
def test_narrow_strided_convolutions_are_right_and_damage_no_memory(instructions: str) -> None:
    done = run("guarded", instructions)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "backward_weights" in done.stdout, "oneDNN did not say what it computed"
    assert not reached(done.stdout)


@x86
def test_without_the_guard_the_kernel_is_reached() -> None:
    """Else the test above could not fail. The process may die of it."""
    assert reached(run("bare", "avx2").stdout)


def thin(**changed: object) -> nn.Conv2d:
    torch.manual_seed(0)
    return nn.Conv2d(**{"in_channels": 4, "out_channels": 8, "kernel_size": 1, "stride": 2, **changed})


@pytest.mark.parametrize(
    "changed",
    [{"stride": 1}, {"kernel_size": 3}, {"in_channels": 16}, {"groups": 2}, {"padding": 1}, {"padding": (0, 1)}],
    ids=str,
)
def test_other_convolutions_are_left_alone(changed: dict[str, object]) -> None:
    conv = thin(**changed)
    guard(conv)
    assert not conv._forward_pre_hooks


def test_nothing_is_computed_on_the_meta_device_and_the_shape_is_kept() -> None:
    with torch.device("meta"):
        conv = thin()
        guard(conv)
        assert conv(torch.empty(2, 4, 7, 8)).shape == (2, 8, 4, 4)


@pytest.mark.parametrize(("side", "stride"), [(8, 2), (7, (1, 3)), (2, 2), (1, 2)])
def test_computes_the_same_in_every_mode(side: int, stride: int | tuple[int, int]) -> None:
    """Of images in NCHW, where the convolution is safe without the guard too."""
    plain, guarded = thin(stride=stride), thin(stride=stride, padding="valid")
    guard(guarded)
    x = torch.randn(2, 3, 4, side, side)
    expected = plain(x[0])
    torch.testing.assert_close(guarded(x[0]), expected)
    lanes = {name: torch.stack([p.detach(), p.detach() + 1]) for name, p in guarded.named_parameters()}
    both = torch.vmap(lambda tensors, images: functional_call(guarded, tensors, (images,)))(lanes, x)
    torch.testing.assert_close(both[0], expected)
    torch.testing.assert_close(both[1], functional_call(plain, {n: t[1] for n, t in lanes.items()}, (x[1],)))


def test_compiles_to_one_graph() -> None:
    plain, guarded, x = thin(), thin(), torch.randn(2, 4, 8, 8)
    guard(guarded)
    torch.testing.assert_close(torch.compile(guarded, backend="aot_eager", fullgraph=True)(x), plain(x))
    torch.compiler.reset()


def test_a_transposed_convolution_that_would_reach_it_is_refused_by_name() -> None:
    net = nn.Sequential(nn.ConvTranspose2d(8, 4, 1, stride=2, output_padding=1))
    with pytest.raises(ValueError, match="layer 0: a transposed 1x1 convolution"):
        guard(net)
    guard(nn.Sequential(nn.ConvTranspose2d(8, 4, 1, stride=2)))
    guard(nn.Sequential(nn.ConvTranspose2d(8, 4, 2, stride=2)))
