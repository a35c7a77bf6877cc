"""The cells of pytorchcv, another's implementation, joined here as the papers draw it."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from pytorchcv.models.nasnet import FirstUnit, NormalUnit, Reduction2Unit
from pytorchcv.models.pnasnet import PnasUnit
from torch import Tensor, nn

from ablation.model.nasnet import nasnet

Images = Callable[..., Tensor]
Change = Callable[[nn.Module], None]
PRESETS: dict[str, dict[str, Any]] = {
    "nasnet": {},
    "nasnet_4_1056": {"cells": 4, "filters": 44, "stem": 44},
    "pnasnet5": {"cell": "pnasnet_5", "cells": 3, "filters": 48, "stem": 144},
}


@pytest.mark.parametrize(
    ("preset", "millions"),
    # 1707.07012, table 1: 3.3; 1712.00559, table 2: 3.2. The tables' 5.126 less the 0.888 of its layers that are not
    # called (their counts: test below).
    [("nasnet", 3.3), ("nasnet_4_1056", 5.126 - 0.888), ("pnasnet5", 3.2)],
)
def test_has_the_papers_parameters(preset: str, millions: float) -> None:
    with torch.device("meta"):
        model = nasnet(10, 3, 32, **PRESETS[preset])
    assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(millions, rel=0.01)


def test_the_tables_network_has_layers_that_no_pass_calls() -> None:
    """Each of its cells has both ways to make the cell before match, halving and 1x1, each p (f + 1/p) + 2 f."""
    before = last = 44
    unused, after_reduction = 0, False
    for stage in range(3):
        f = 44 * 2**stage
        for cell in range(4 + (stage > 0)):
            reduction = stage > 0 and cell == 0
            way = before * f + f + 2 * f
            match = after_reduction or before != f  # one of the two is called
            unused += way if match else 2 * way
            before, last, after_reduction = last, (4 if reduction else 6) * f, reduction
    assert round(unused / 1e6, 3) == 0.888


def theirs(arguments: dict[str, Any], x: Tensor, state: list[Tensor], training: bool) -> Tensor:
    """Stem, cells and head by hand, the state being taken in the order of ours."""
    t = iter(state)

    def take(unit: nn.Module) -> nn.Module:
        names = [n for n in unit.state_dict() if "tracked" not in n]
        unit.load_state_dict({n: next(t) for n in names}, strict=False)
        return unit.train(training)

    cells, filters, stem = arguments["cells"], arguments["filters"], arguments["stem"]
    progressive = arguments.get("cell") == "pnasnet_5"
    x = F.conv2d(x, next(t), padding=1)
    weight, bias, mean, var = (next(t) for _ in range(4))
    outs, widths = [F.batch_norm(x, mean, var, weight, bias, training, eps=1e-3)] * 2, [stem, stem]
    for stage in range(3):
        f = filters * 2**stage
        for i in range(-1 if stage else 0, cells - (progressive and stage > 0)):
            last, before, reduction, first = widths[-1], widths[-2], i < 0, stage > 0 and i == 0
            if progressive:
                unit = PnasUnit(last, before, 5 * f, reduction, match_prev_layer_dimensions=first)
            elif reduction:
                unit = Reduction2Unit(last, before, 4 * f, extra_padding=False)
            else:
                unit = (FirstUnit if first else NormalUnit)(last, before, 6 * f)
            outs.append(take(unit)(outs[-1], outs[-2]))
            widths.append(outs[-1].shape[1])
    out = F.linear(F.relu(outs[-1]).mean((2, 3)), next(t), next(t))
    assert next(t, None) is None
    return out


@pytest.mark.parametrize(
    "arguments",
    [
        {"cells": 2, "filters": 4, "stem": 12},
        {"cells": 1, "filters": 4, "stem": 4},
        {"cell": "pnasnet_5", "cells": 3, "filters": 4, "stem": 12},
        {"cell": "pnasnet_5", "cells": 2, "filters": 4, "stem": 8},
    ],
)
def test_computes_the_papers_network(arguments: dict[str, Any], images: Images, scramble: Change) -> None:
    model = nasnet(10, 3, 16, **arguments)
    scramble(model)
    for training in (True, False):
        state = [v.clone() for n, v in model.state_dict().items() if "tracked" not in n]
        expected = theirs(arguments, images(4, 3, 16), state, training)
        torch.testing.assert_close(model.train(training)(images(4, 3, 16)), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("preset", "wide", "classes", "channels", "size"),
    [("nasnet", 768, 10, 1, 32), ("nasnet_4_1056", 1056, 100, 3, 64), ("pnasnet5", 960, 1000, 3, 224)],
)
def test_maps_and_shapes(preset: str, wide: int, classes: int, channels: int, size: int) -> None:
    with torch.device("meta"):
        model, x = nasnet(classes, channels, size, **PRESETS[preset]), torch.empty(2, channels, size, size)
        maps: list[Tensor] = []
        for cell in model.get_submodule("cells").children():
            cell.register_forward_hook(lambda m, a, out: maps.append(out))
        assert model(x).shape == (2, classes)
    assert maps[-1].shape[1] == wide == model.head.in_features
    assert list(dict.fromkeys(m.shape[-1] for m in maps)) == [size, size // 2, size // 4]


def test_refuses() -> None:
    for cell, least in (("nasnet_a", 1), ("pnasnet_5", 2)):
        with pytest.raises(ValueError, match=rf"^cells: {least - 1} leaves a stage .*; use at least {least}"):
            nasnet(10, 3, 32, cell, cells=least - 1)
    with pytest.raises(ValueError, match=r"^cell: there is no 'nasnet'; did you mean nasnet_a"):
        nasnet(10, 3, 32, "nasnet")
    with pytest.raises(ValueError, match=r"^filters: 0 leaves no channel; use at least 1"):
        nasnet(10, 3, 32, filters=0)
    with pytest.raises(ValueError, match=r"^stem: 0 leaves no channel; use at least 1"):
        nasnet(10, 3, 32, stem=0)
    with pytest.raises(ValueError, match=r"^size: NASNet needs images of at least 4 px, these have 3"):
        nasnet(10, 3, 3)
