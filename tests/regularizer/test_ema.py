from typing import Any

import pytest
import torch
from timm.utils import ModelEmaV3
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ablation.average import Average, Moment
from ablation.regularizer.ema import ema
from ablation.types import Tensors


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


def follow(average: Average, model: nn.Module, steps: int = 20, others: tuple[Any, ...] = ()) -> Tensors:
    state = average.begin(model.state_dict())
    for step in range(steps):
        wander(model, step)
        average.update(state, model.state_dict(), Moment(step, steps, steps))
        for other in others:
            other(model, step)
    return average.weights(state)


def test_is_torchs_and_timms_statistics_included() -> None:
    model = network()
    theirs = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
    theirs.update_parameters(model)  # torch's first call only copies
    timms = ModelEmaV3(model, decay=0.9)

    def theirs_too(model: nn.Module, step: int) -> None:
        theirs.update_parameters(model)
        timms.update(model)  # given the step, timm has a decay of 0 at first

    ours = follow(ema(0.9, warmup=False), model, others=(theirs_too,))
    for name, value in theirs.module.state_dict().items():
        if value.is_floating_point():  # torch averages the count of batches too, as an integer
            torch.testing.assert_close(ours[name], value)
    for name, value in timms.module.state_dict().items():
        torch.testing.assert_close(ours[name], value)
    assert ours["1.num_batches_tracked"] == 20


def test_decay_0_is_the_weights_bit_for_bit() -> None:
    model = network()
    ours = follow(ema(0.0), model)
    assert all(torch.equal(ours[name], value) for name, value in model.state_dict().items())


def test_the_default_is_not_the_weights_and_shares_no_memory_with_them() -> None:
    model = network()
    ours = follow(ema(), model)
    for name, value in model.state_dict().items():
        assert torch.equal(ours[name], value) == (name == "1.num_batches_tracked")


def test_warm_up_decays() -> None:
    average, state = ema(0.5, warmup=True), {"w": torch.zeros(1)}
    expected = 0.0
    for step, decay in enumerate([1 / 10, 2 / 11, 3 / 12, 4 / 13, 5 / 14, 6 / 15, 7 / 16, 8 / 17, 0.5, 0.5]):
        expected = decay * expected + (1 - decay) * step
        average.update(state, {"w": torch.full((1,), float(step))}, Moment(step, 100, 100))
        assert state["w"].item() == pytest.approx(expected)


def test_buffers_copied_are_the_models_own() -> None:
    model = network()
    copied, averaged = follow(ema(0.9, buffers="copy"), model), follow(ema(0.9), network())
    for name, value in model.state_dict().items():
        if "running" in name:
            assert torch.equal(copied[name], value)
            assert not torch.equal(copied[name], averaged[name])
        elif value.is_floating_point():
            assert torch.equal(copied[name], averaged[name])


def test_statistics_that_are_estimated_anew_are_the_models_until_then() -> None:
    model, average = network(), ema(0.9, buffers="reestimate")
    ours = follow(average, model)
    assert average.reestimate
    assert not ema().reestimate
    assert all(torch.equal(ours[name], value) for name, value in model.state_dict().items() if "running" in name)


W = torch.tensor([2.0, -1.0])


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"weight_decay": 0.5, "lr": 0.2}, [0.9 * 0.2 * W, 0.9 * (0.8 * 0.9 * 0.2 * W + 0.2 * 2 * W)]),
        ({"reversed": True}, [0.8 * W, 0.2 * 0.8 * W + 0.8 * 2 * W]),
        ({"copy_back": True}, [0.2 * W, 0.8 * 0.2 * W + 0.2 * (0.2 + 1) * W]),
    ],
)
def test_variants_of_the_lab_notes_are_their_formulas(arguments: dict[str, Any], expected: list[torch.Tensor]) -> None:
    """The weights start at 0 and move by W; statistics are averaged and nothing else."""
    average = ema(0.8, warmup=False, **arguments)
    live = {"w": torch.zeros(2), "running_mean": torch.zeros(2)}
    state = average.begin(live)
    for step in range(2):
        live["w"] += W
        live["running_mean"] += W
        average.update(state, live, Moment(step, 9, 9))
        torch.testing.assert_close(state["w"], expected[step])
        assert torch.equal(live["w"], state["w"]) == arguments.get("copy_back", False)
        assert torch.equal(live["running_mean"], (step + 1) * W)
    torch.testing.assert_close(
        state["running_mean"], (0.2 * 0.8 + 0.8 * 2) * W if "reversed" in arguments else (0.8 * 0.2 + 0.2 * 2) * W
    )


def test_weight_decay_of_the_average_alone_is_sgds_for_weights_that_rest() -> None:
    average, live = ema(0.8, warmup=False, weight_decay=0.1, lr=0.2), {"w": torch.zeros(2)}
    state, p = {"w": W.clone()}, torch.nn.Parameter(0.8 * W)
    p.grad = torch.zeros(2)
    average.update(state, live, Moment(0, 9, 9))
    torch.optim.SGD([p], lr=0.2, weight_decay=0.1).step()
    torch.testing.assert_close(state["w"], p.detach())


def test_all_of_the_state_is_in_the_dict_and_changes_in_place() -> None:
    """Another instance goes on from the tensors alone."""
    model, average = network(), ema(0.9, warmup=True)
    state = average.begin(model.state_dict())
    tensors = dict(state)
    wander(model, 0)
    average.update(state, model.state_dict(), Moment(0, 9, 9))
    assert all(state[name] is tensors[name] for name in tensors)
    saved = {name: value.clone() for name, value in state.items()}
    wander(model, 1)
    average.update(state, model.state_dict(), Moment(1, 9, 9))
    ema(0.9, warmup=True).update(saved, model.state_dict(), Moment(1, 9, 9))
    assert all(torch.equal(saved[name], state[name]) for name in state)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"decay": 1.0}, "decay"),
        ({"decay": -0.1}, "decay"),
        ({"decay": 0.0, "reversed": True}, "decay"),
        ({"buffers": "none"}, "buffers"),
        ({"weight_decay": -1.0}, "weight_decay"),
        ({"weight_decay": 5.0}, "weight_decay"),
        ({"lr": -1.0}, "lr"),
    ],
)
def test_refuses(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named}: "):
        ema(**arguments)
