"""Joins by hand: with a key, and with an autograd function written down as the papers have it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ablation.key import Key
from ablation.types import Noise, Noisy


def joined(noise: Noise, block: int = 1, blocks: int = 1, seed: int = 0) -> Any:
    """The module that joins this block."""
    assert noise.join is not None
    layer = noise.join(block, blocks)
    assert isinstance(layer, Noisy)
    layer.word = Key.root(seed).word
    return layer


def tensors(count: int, *shape: int) -> list[Tensor]:
    g = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=g, requires_grad=True) for _ in range(count)]


def run(join: Any, *inputs: Tensor) -> tuple[Tensor, ...]:
    """The output, and the gradient of the sum of its cubes at each input."""
    out = join(*inputs)
    return (out.detach(), *torch.autograd.grad(out.pow(3).sum(), inputs))


def lanes_agree(layer: nn.Module, *inputs: Tensor) -> None:
    """Under vmap each lane, with a key of its own, is what it is alone."""
    words = torch.stack([Key.root(seed).word for seed in (3, 5)])
    both = [torch.stack([x.detach(), 2 * x.detach()]) for x in inputs]

    def alone(word: Tensor, *given: Tensor) -> Tensor:
        out: Tensor = torch.func.functional_call(layer, {"word": word}, given)
        return out

    out = torch.vmap(alone)(words, *both)
    for lane in (0, 1):
        torch.testing.assert_close(out[lane], alone(words[lane], *(x[lane] for x in both)))
    assert not torch.allclose(2 * out[0], out[1])
