from typing import Any

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from ablation.average import Average, Moment
from ablation.regularizer.swa import swa
from ablation.types import Tensors

EPOCHS, PER_EPOCH = 8, 3


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))


def wander(model: nn.Module, step: int) -> None:
    """Something like training: every parameter and statistic changes."""
    g = torch.Generator().manual_seed(step)
    with torch.no_grad():
        model(3 + torch.randn(8, 3, 3, 3, generator=g))
        for p in model.parameters():
            p.add_(torch.randn(p.shape, generator=g))


def followed(average: Average, model: nn.Module, taken: tuple[int, ...] = (), buffers: bool = True) -> list[Tensors]:
    """Ours and torch's, which is given the weights at the end of these epochs, counted from 1; and the model's."""
    state, theirs = average.begin(model.state_dict()), AveragedModel(model, use_buffers=buffers)
    for step in range(EPOCHS * PER_EPOCH):
        wander(model, step)
        average.update(state, model.state_dict(), Moment(step, EPOCHS * PER_EPOCH, PER_EPOCH))
        epoch, ended = divmod(step + 1, PER_EPOCH)
        if not ended and epoch in taken:
            theirs.update_parameters(model)
    return [average.weights(state), theirs.module.state_dict(), model.state_dict()]


@pytest.mark.parametrize(
    ("start", "every", "taken"),
    [(0.75, 1, (6, 7, 8)), (0.7, 1, (6, 7, 8)), (0.5, 2, (4, 6, 8)), (0.5, 3, (4, 7)), (0.0, 1, tuple(range(1, 9)))],
)
@pytest.mark.parametrize("buffers", ["average", "copy", "reestimate"])
def test_is_torchs(start: float, every: int, taken: tuple[int, ...], buffers: str) -> None:
    """That leaves its statistics as of the last weights taken, unless it averages them."""
    ours, theirs, _ = followed(swa(start, every, buffers), network(), taken, buffers == "average")
    for name, value in theirs.items():
        if value.is_floating_point():  # torch averages the count of batches too, as an integer
            torch.testing.assert_close(ours[name], value)


def test_until_the_start_and_with_start_1_it_is_the_weights_bit_for_bit() -> None:
    for start in (0.9, 1.0):  # of 8 epochs, 0.9 are over with the last
        ours, _, model = followed(swa(start, buffers="average"), network())
        assert all(torch.equal(ours[name], value) for name, value in model.items())


def test_the_default_is_not_the_weights_and_wants_its_statistics_estimated() -> None:
    ours, _, model = followed(swa(), network())
    assert not any(torch.equal(ours[name], v) for name, v in model.items() if name.endswith(("weight", "bias")))
    assert swa().reestimate
    assert not swa(buffers="copy").reestimate


@pytest.mark.parametrize(
    ("arguments", "named"),
    [({"start": 1.1}, "start"), ({"start": -0.1}, "start"), ({"every": 0}, "every"), ({"buffers": "none"}, "buffers")],
)
def test_refuses(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named}: "):
        swa(**arguments)
