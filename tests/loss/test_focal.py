"""Focal loss against torchvision's sigmoid form for two classes, and written out for more."""

from __future__ import annotations

import pytest
import torch
from passes import passed, same_bits, sample, value_and_gradient
from torchvision.ops import sigmoid_focal_loss

from ablation.loss.ce import ce
from ablation.loss.focal import focal


@pytest.mark.parametrize("gamma", [0.5, 2.0, 5.0])
def test_is_torchvisions_for_two_classes(gamma: float) -> None:
    logits, hard, _ = sample(k=2)
    margin = logits[:, 1] - logits[:, 0]
    theirs = sigmoid_focal_loss(margin, hard[:, 1], alpha=-1, gamma=gamma, reduction="mean")
    torch.testing.assert_close(focal(gamma)(passed(logits, hard)), theirs)


def test_is_the_formula_for_more_classes_and_mixes_with_the_targets() -> None:
    logits, hard, soft = sample()
    p = logits.double().softmax(1)
    each = -((1 - p) ** 2) * p.log()
    for y in (hard, soft):
        torch.testing.assert_close(focal()(passed(logits, y)), (y * each).sum(1).mean().float())


def test_gamma_0_is_ce_bit_for_bit() -> None:
    same_bits(focal(0.0), ce())


@pytest.mark.parametrize("gamma", [0.0, 0.3, 1.0, 2.0])
def test_certain_answers_have_finite_gradients(gamma: float) -> None:
    _, hard, soft = sample()
    for y in (hard, soft):
        for logits in (1e4 * hard, -1e4 * hard, 20 * hard):
            _, slope = value_and_gradient(focal(gamma), logits, y)
            assert slope.isfinite().all()


def test_float32_inside_half_precision_and_lanes() -> None:
    logits, _, soft = sample(96)
    assert focal()(passed(logits.bfloat16(), soft)).dtype == torch.float32
    lanes = torch.vmap(lambda z, y: focal()(passed(z, y)))(logits.view(3, 32, 10), soft.view(3, 32, 10))
    torch.testing.assert_close(lanes[1], focal()(passed(logits[32:64], soft[32:64])))


@pytest.mark.parametrize("gamma", [-1.0, float("inf"), float("nan")])
def test_refuses(gamma: float) -> None:
    with pytest.raises(ValueError, match=r"^gamma: "):
        focal(gamma)
