"""Binary cross-entropy against timm's and a closed form."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from passes import passed, sample, value_and_gradient
from timm.loss.binary_cross_entropy import BinaryCrossEntropy

from ablation.loss.bce import bce


@pytest.mark.parametrize("classes", ["mean", "sum"])
def test_is_timms(classes: str) -> None:
    logits, hard, soft = sample()
    sums = classes == "sum"
    for eps in (0.0, 0.1):
        theirs = BinaryCrossEntropy(smoothing=eps, sum_classes=sums)(logits, hard.argmax(1))
        torch.testing.assert_close(bce(eps, classes=classes)(passed(logits, hard)), theirs)
    for threshold in (None, 0.11):
        theirs = BinaryCrossEntropy(0.0, target_threshold=threshold, sum_classes=sums)(logits, soft)
        torch.testing.assert_close(bce(0.0, threshold, classes)(passed(logits, soft)), theirs)


def test_the_gradient_is_sigmoid_less_target() -> None:
    logits, _, soft = sample()
    _, slope = value_and_gradient(bce(classes="sum"), logits, soft)
    torch.testing.assert_close(slope, (logits.sigmoid() - soft) / 32)


def test_a_threshold_of_0_leaves_plain_labels_as_they_are() -> None:
    logits, hard, _ = sample()
    assert torch.equal(bce(threshold=0.0)(passed(logits, hard)), bce()(passed(logits, hard)))


def test_with_a_threshold_both_images_of_a_mixture_are_there() -> None:
    logits, hard, _ = sample()
    mixed = torch.lerp(hard, hard.roll(1, 1), 0.3)
    both = bce(threshold=0.2)(passed(logits, mixed))
    torch.testing.assert_close(both, bce()(passed(logits, hard + hard.roll(1, 1))))
    assert both != bce()(passed(logits, mixed))


def test_float32_inside_half_precision_and_lanes() -> None:
    logits, _, soft = sample(96)
    term = bce(0.1, 0.15)
    assert term(passed(logits.bfloat16(), soft)).dtype == torch.float32
    lanes = torch.vmap(lambda z, y: term(passed(z, y)))(logits.view(3, 32, 10), soft.view(3, 32, 10))
    torch.testing.assert_close(lanes[1], term(passed(logits[32:64], soft[32:64])))


@pytest.mark.parametrize(
    ("arguments", "named"), [({"eps": 1.0}, "eps"), ({"threshold": 1.0}, "threshold"), ({"classes": "max"}, "classes")]
)
def test_refuses(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named}: "):
        bce(**arguments)
