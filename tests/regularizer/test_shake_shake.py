"""Shake-Shake against an autograd function as the paper has it, and against pytorchcv's in evaluation."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from joins import joined, lanes_agree, run, tensors
from pytorchcv.models.shakeshakeresnet_cifar import ShakeShakeResUnit
from tiny import SMALL_MODEL, TINY, config
from torch import Tensor

from ablation.errors import ConfigError
from ablation.key import Key
from ablation.model.block import Layers, PostBlock
from ablation.regularizer.shake_shake import shake_shake
from ablation.trial.parts import parts

ALL = [(f, b, level) for f in ("shake", "even") for b in ("shake", "even", "keep") for level in ("image", "batch")]


class Paper(torch.autograd.Function):
    """Section 2: a forward, c backward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, one: Tensor, other: Tensor, a: Tensor, c: Tensor) -> Tensor:
        ctx.save_for_backward(c)
        return x + a * one + (1 - a) * other

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Any:
        (c,) = ctx.saved_tensors
        return slope, c * slope, (1 - c) * slope, None, None


def shares(seed: int, forward: str, backward: str, level: str, n: int) -> tuple[Tensor, Tensor]:
    """a and c, from the layer's own draws."""
    shape = (n if level == "image" else 1, 1, 1, 1)
    a = Key.root(seed).fold("forward").uniform(*shape) if forward == "shake" else torch.full(shape, 0.5)
    drawn = {"shake": Key.root(seed).fold("backward").uniform(*shape), "even": torch.full(shape, 0.5), "keep": a}
    return a, drawn[backward]


@pytest.mark.parametrize(("forward", "backward", "level"), ALL)
def test_output_and_gradients_are_the_papers(forward: str, backward: str, level: str) -> None:
    inputs = tensors(3, 6, 4, 5, 5)
    ours = run(joined(shake_shake(forward, backward, level)), *inputs)
    a, c = shares(0, forward, backward, level, 6)
    theirs = run(lambda *given: Paper.apply(*given, a, c), *inputs)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)


def test_shares_are_uniform_and_those_of_the_gradient_independent() -> None:
    layer = joined(shake_shake())
    x, one, other = torch.zeros(20000, 1, 1, 1), torch.ones(20000, 1, 1, 1), torch.zeros(20000, 1, 1, 1)
    out, _, slope, _ = run(layer, x.requires_grad_(), one.requires_grad_(), other.requires_grad_())
    a, c = out.flatten(), (slope / (3 * out**2)).flatten()
    a, c = a[out.flatten() > 0.01], c[out.flatten() > 0.01]  # the cube's slope is lost at 0
    for share in (out.flatten(), c):
        assert share.mean().item() == pytest.approx(0.5, abs=0.01)
        assert share.var().item() == pytest.approx(1 / 12, abs=0.002)
    assert torch.corrcoef(torch.stack([a, c]))[0, 1].abs() < 0.03


def test_evaluation_and_even_shares_take_the_mean_and_draw_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = tensors(3, 4, 2, 3, 3)
    layers = [joined(shake_shake()).eval(), joined(shake_shake("even", "even")), joined(shake_shake("even", "keep"))]
    monkeypatch.setattr(type(layers[0]), "key", property(lambda _: pytest.fail("drew")))
    for layer in layers:
        torch.testing.assert_close(layer(*inputs), inputs[0] + (inputs[1] + inputs[2]) / 2)


def test_is_pytorchcvs_in_evaluation() -> None:
    torch.manual_seed(0)
    theirs = ShakeShakeResUnit(8, 8, 1, bottleneck=False).eval()
    layers = Layers(torch.nn.BatchNorm2d, torch.nn.ReLU, None, "pad", branches=2)
    ours = PostBlock(layers, 8, 8, 1, joined(shake_shake())).eval()
    ours.load_state_dict(dict(zip(ours.state_dict(), theirs.state_dict().values(), strict=True)))
    x = torch.randn(2, 8, 6, 6)
    torch.testing.assert_close(ours(x), theirs(x))


def test_lanes_and_half_precision() -> None:
    lanes_agree(joined(shake_shake()), *tensors(3, 4, 2, 3, 3))
    half = [x.bfloat16() for x in tensors(3, 4, 2, 3, 3)]
    assert joined(shake_shake())(*half).dtype == torch.bfloat16


@pytest.mark.parametrize("branches", [1, 3])
def test_refuses_a_model_without_two_branches_before_training(branches: int) -> None:
    message = rf"^model.branches: ShakeShake joins 2 branches, here are {branches}; set model.branches=2"
    with pytest.raises(ConfigError, match=message):
        parts(config(*TINY, *SMALL_MODEL, "regularizer=shake_shake", f"model.branches={branches}"))


def test_refuses() -> None:
    for name, value in (("forward", "keep"), ("backward", "odd"), ("level", "pixel")):
        with pytest.raises(ValueError, match=rf"^{name}: there is no '{value}'"):
            shake_shake(**{name: value})
