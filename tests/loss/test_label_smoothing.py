"""The lab notes' unnormalised form; the other two are in test_losses.py."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from passes import passed, sample, value_and_gradient
from torch import nn

from ablation.loss.ce import ce
from ablation.loss.label_smoothing import label_smoothing


def test_posneg_is_torchs_cross_entropy_with_such_targets() -> None:
    logits, hard, _ = sample()
    targets = torch.where(hard == 1, 0.9, 1e-4)
    expected = nn.CrossEntropyLoss()(logits, targets)
    torch.testing.assert_close(label_smoothing(form="posneg", pos=0.9, neg=1e-4)(passed(logits, hard)), expected)


@pytest.mark.parametrize(("pos", "neg"), [(0.95, 0.00005), (0.9, 0.0001), (0.9, 0.00005)])
def test_posneg_is_s_times_what_its_targets_over_s_give(pos: float, neg: float) -> None:
    """S p - q on the logits, S the sum of the targets."""
    logits, hard, _ = sample()
    s = pos + 9 * neg
    _, gradient = value_and_gradient(label_smoothing(form="posneg", pos=pos, neg=neg), logits, hard)
    torch.testing.assert_close(gradient, (s * logits.softmax(1) - torch.where(hard == 1, pos, neg)) / 32)
    even, same = value_and_gradient(label_smoothing(neg / s * 9, "others"), logits, hard)
    torch.testing.assert_close(gradient, s * same)
    assert even.isfinite()


def test_posneg_of_a_mixture_is_the_mixture() -> None:
    logits, hard, _ = sample()
    term = label_smoothing(form="posneg", pos=0.9, neg=0.01)
    mixed = term(passed(logits, 0.3 * hard + 0.7 * hard.flip(0)))
    parts = 0.3 * term(passed(logits, hard)) + 0.7 * term(passed(logits, hard.flip(0)))
    torch.testing.assert_close(mixed, parts)


def test_posneg_1_and_0_is_ce_bit_for_bit() -> None:
    logits, hard, _ = sample()
    one = value_and_gradient(label_smoothing(form="posneg", pos=1.0, neg=0.0), logits, hard)
    assert all(torch.equal(a, b) for a, b in zip(one, value_and_gradient(ce(), logits, hard), strict=True))


@pytest.mark.parametrize(
    ("arguments", "named"),
    [({"form": "posneg"}, "pos"), ({"form": "posneg", "pos": 0.9}, "neg"), ({"form": "posneg", "neg": 0.1}, "pos"),
     ({"form": "posneg", "pos": 0.1, "neg": 0.1}, "neg"), ({"form": "posneg", "pos": 0.1, "neg": -0.1}, "neg"),
     ({"pos": 0.9}, "pos"), ({"form": "others", "neg": 0.1}, "neg")],
)  # fmt: skip
def test_refuses(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named}: "):
        label_smoothing(**arguments)
