from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ablation.model.pnasnet import pnasnet

Images = Callable[..., Tensor]
Change = Callable[[nn.Module], None]


def test_has_the_tables_parameters() -> None:
    """0.452 M, counted from the code of the CIFAR tricks README."""
    with torch.device("meta"):
        assert sum(p.numel() for p in pnasnet(10, 3, 32).parameters()) == 451626


def oracle(x: Tensor, state: list[Tensor], cell: str, cells: int, width: int, training: bool) -> Tensor:
    """By hand; a cell's tensors come in the order: depthwise convolutions, what follows the pooling, the mixing."""
    t = iter(state)

    def conv(x: Tensor, stride: int = 1, groups: int = 1) -> Tensor:
        kernel = next(t)
        x = F.conv2d(x, kernel, None, stride, kernel.shape[-1] // 2, 1, groups)
        weight, bias, mean, var = (next(t) for _ in range(4))
        return F.batch_norm(x, mean, var, weight, bias, training)

    x = F.relu(conv(x))
    for stride in [1] * cells + ([2] + [1] * cells) * 2:
        kernels = [conv(x, stride, x.shape[1]) for _ in range(3 if cell == "b" else 1)]
        pooled = F.max_pool2d(x, 3, stride, 1)
        pooled = conv(pooled) if stride == 2 else pooled
        if cell == "a":
            x = F.relu(kernels[0] + pooled)
        else:
            x = F.relu(conv(torch.cat([F.relu(kernels[0] + kernels[1]), F.relu(kernels[2] + pooled)], 1)))
    out = F.linear(x.mean((2, 3)), next(t), next(t))
    assert next(t, None) is None
    return out


@pytest.mark.parametrize("cell", ["a", "b"])
def test_computes_its_cells(cell: str, images: Images, scramble: Change) -> None:
    arguments: dict[str, Any] = {"cell": cell, "cells": 2, "width": 8}
    model, x = pnasnet(10, 3, 16, **arguments), images(4, 3, 16)
    scramble(model)
    for training in (True, False):
        state = [v.clone() for n, v in model.state_dict().items() if "tracked" not in n]
        expected = oracle(x, state, **arguments, training=training)
        torch.testing.assert_close(model.train(training)(x), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("cell", "kernels"), [("a", [7]), ("b", [7, 3, 5])])
def test_cells_have_their_kernels(cell: str, kernels: list[int]) -> None:
    (block,) = [m for n, m in pnasnet(10, 3, 32, cell, cells=1, width=8).named_modules() if n == "cells.1"]
    depthwise = [m for m in block.modules() if isinstance(m, nn.Conv2d) and m.groups > 1]
    assert [m.kernel_size[0] for m in depthwise] == kernels
    assert {(m.in_channels, m.out_channels, m.groups, m.stride) for m in depthwise} == {(8, 16, 8, (2, 2))}


@pytest.mark.parametrize(("classes", "channels", "size"), [(10, 1, 32), (100, 3, 64), (1000, 3, 224)])
def test_maps_and_shapes(classes: int, channels: int, size: int) -> None:
    with torch.device("meta"):
        model, x = pnasnet(classes, channels, size), torch.empty(2, channels, size, size)
        sides: list[int] = []
        for cell in model.get_submodule("cells").children():
            cell.register_forward_hook(lambda m, a, out: sides.append(out.shape[-1]))
        assert model(x).shape == (2, classes)
        assert list(dict.fromkeys(sides)) == [size, size // 2, size // 4]
        assert model.features(x).shape == (2, 128)


def test_refuses() -> None:
    with pytest.raises(ValueError, match=r"^cell: there is no 'c'; valid: a, b"):
        pnasnet(10, 3, 32, "c")
    with pytest.raises(ValueError, match=r"^cells: 0 is less than one a stage; the tables' network has 6"):
        pnasnet(10, 3, 32, cells=0)
    with pytest.raises(ValueError, match=r"^width: 0 leaves no channel; use at least 1"):
        pnasnet(10, 3, 32, width=0)
    with pytest.raises(ValueError, match=r"^size: PNASNet needs images of at least 4 px, these have 3"):
        pnasnet(10, 3, 3)
