"""What is trained in a process of its own, since it may be killed by what it does: `python tests/narrow.py NAME`."""

from __future__ import annotations

import sys
from contextlib import suppress

import torch
from one_step import CPU, Enough, Few, imitation
from tiny import TINY, config
from torch import nn

from ablation.machine.onednn import guard
from ablation.train import train
from ablation.trial.parts import parts
from ablation.trial.prepare import prepare

ROUNDING = {torch.float32: 1e-5, torch.bfloat16: 2e-2}  # of a tensor's largest number


def alone(channels: int, side: int, dtype: torch.dtype, stride: tuple[int, int] = (2, 2), safe: bool = True) -> None:
    """One convolution and its gradients, channels-last, against the same in double precision by a matrix product."""
    conv = nn.Conv2d(channels, 8, 1, stride).to(dtype).to(memory_format=torch.channels_last)
    if safe:
        guard(conv)
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(4, side, side, channels, generator=draw).permute(0, 3, 1, 2).to(dtype).requires_grad_()
    y = conv(x)
    pull = torch.randn(y.shape, generator=draw).to(dtype)
    y.backward(pull)
    exact, weight, bias = (p.detach().double().requires_grad_() for p in (x, conv.weight, conv.bias))
    read = exact[:, :, :: stride[0], :: stride[1]]
    expected = torch.einsum("nchw,kc->nkhw", read, weight[:, :, 0, 0]) + bias[:, None, None]
    expected.backward(pull.double())
    for mine, theirs in ((y, expected), (x.grad, exact.grad), (conv.weight.grad, weight.grad)):
        assert mine is not None
        assert theirs is not None
        torch.testing.assert_close(mine.double(), theirs, rtol=0, atol=ROUNDING[dtype] * theirs.abs().max().item())


def network(*overrides: str, seeds: int = 1, size: int = 32, steps: int = 2) -> None:
    """Some steps of a whole network as it is trained."""
    settings = config(*TINY, "data=cifar10", *overrides)
    data = imitation(settings["data"], size=size)
    plan, state = prepare(settings, parts(settings), data, CPU, range(seeds))
    assert any(layer._forward_pre_hooks for layer in plan.learner.modules()), "the network has no such convolution"
    with suppress(Enough):
        train(plan, state, Few(steps))
    assert torch.isfinite(state.losses).all()


def guarded() -> None:
    """Convolutions alone, of too few channels for the kernel and of enough; thin networks, ours and a library's."""
    for channels in (1, 3, 4, 7, 8, 9, 15, 16, 17):
        alone(channels, 32, torch.float32)
        alone(channels, 96, torch.float32)  # more pixels than the kernel for AVX-512 takes at a time
    alone(3, 128, torch.bfloat16)
    alone(1, 256, torch.bfloat16)
    alone(3, 64, torch.float32, (1, 2))
    alone(3, 63, torch.float32, (3, 1))

    network("model=rir", "model.width=4", seeds=2)
    network("model=resnet18", "model.width=0.0625", size=128)
    network("model=timm", "model.name=resnet18", "++model.arguments={channels: [4, 8, 8, 8]}")


def bare() -> None:
    """The convolution as it would be, were it not for the guard."""
    alone(4, 128, torch.float32, safe=False)


if __name__ == "__main__":
    {"guarded": guarded, "bare": bare}[sys.argv[1]]()
