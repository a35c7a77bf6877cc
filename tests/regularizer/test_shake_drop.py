"""ShakeDrop against an autograd function as the paper has it, and its probabilities."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from joins import joined, lanes_agree, run, tensors
from torch import Tensor

from ablation.key import Key
from ablation.regularizer.shake_drop import shake_drop

SHAPE = (6, 4, 5, 5)
DRAWS = {"batch": (1, 1, 1, 1), "image": (6, 1, 1, 1), "channel": (6, 4, 1, 1), "pixel": SHAPE}


class Paper(torch.autograd.Function):
    """Equation 6: a forward, c backward."""

    @staticmethod
    def forward(ctx: Any, branch: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
        ctx.save_for_backward(b, c)
        return (b + a - b * a) * branch

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Any:
        b, c = ctx.saved_tensors
        return (b + c - b * c) * slope, None, None, None


@pytest.mark.parametrize("level", DRAWS)
@pytest.mark.parametrize("gate", DRAWS)
def test_output_and_gradients_are_the_papers(gate: str, level: str) -> None:
    both = set()
    for seed in range(8):
        key, inputs = Key.root(seed), tensors(2, *SHAPE)
        b = key.fold("gate").bernoulli(0.5, *DRAWS[gate]).float()
        a = 2 * key.fold("forward").uniform(*DRAWS[level]) - 1
        c = key.fold("backward").uniform(*DRAWS[level])
        ours = run(joined(shake_drop(gate=gate, level=level), seed=seed), *inputs)
        theirs = run(lambda x, y, a=a, b=b, c=c: x + Paper.apply(y, a, b, c), *inputs)
        for one, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(one, other)
        both |= set(b.flatten().tolist())
    assert both == {0.0, 1.0}


def test_survival_falls_linearly_and_evaluation_is_the_expectation() -> None:
    survivals = [joined(shake_drop(), block, 9).survival for block in range(1, 10)]
    assert survivals == pytest.approx([1 - block / 18 for block in range(1, 10)])
    zero, one = torch.zeros(40000, 1, 1, 1), torch.ones(40000, 1, 1, 1)
    for alpha in ((-1.0, 1.0), (0.0, 0.0), (0.2, 0.8)):
        layer = joined(shake_drop(0.6, alpha, gate="image"))
        trained = layer(zero, one).mean().item()
        evaluated = layer.eval()(zero, one)
        assert evaluated.unique().tolist() == pytest.approx([0.6 + 0.4 * sum(alpha) / 2])
        assert trained == pytest.approx(evaluated.mean().item(), abs=0.015)


def test_survival_1_is_the_plain_sum_bit_for_bit() -> None:
    inputs = tensors(2, *SHAPE)
    plain = run(lambda x, y: x + y, *inputs)
    for layer in (joined(shake_drop(1.0)), joined(shake_drop(1.0)).eval()):
        for one, other in zip(run(layer, *inputs), plain, strict=True):
            assert torch.equal(one, other)


def test_several_branches_are_shaken_as_one() -> None:
    x, y, z = tensors(3, *SHAPE)
    layer = joined(shake_drop())
    torch.testing.assert_close(layer(x, y, z), layer(x, y + z))


def test_lanes_and_half_precision() -> None:
    layer = joined(shake_drop(0.01, gate="image"))
    lanes_agree(layer, *tensors(2, *SHAPE))
    assert layer(*(x.bfloat16() for x in tensors(2, *SHAPE))).dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"last_survival": 0.0}, r"last_survival: 0.0 is not in \(0, 1\]"),
        ({"last_survival": 1.1}, r"last_survival: 1.1 is not in \(0, 1\]"),
        ({"alpha": (1.0, 0.0)}, r"alpha: \(1.0, 0.0\) is not \[low, high\]"),
        ({"beta": (0.0,)}, r"beta: \(0.0,\) is not \[low, high\]"),
        ({"beta": (0.0, float("inf"))}, r"beta: \(0.0, inf\) is not \[low, high\]"),
        ({"gate": "row"}, "gate: there is no 'row'; valid: batch, channel, image, pixel"),
        ({"level": "row"}, "level: there is no 'row'; valid: batch, channel, image, pixel"),
    ],
)
def test_refuses(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        shake_drop(**arguments)
