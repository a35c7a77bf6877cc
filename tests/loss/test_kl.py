"""KL of the targets against torch's, and that it trains as cross-entropy does."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from passes import passed, sample, value_and_gradient

from ablation.loss.ce import ce
from ablation.loss.kl import entropy, kl


def test_is_torchs_batchmean() -> None:
    logits, hard, soft = sample()
    for y in (hard, soft):
        torch.testing.assert_close(kl()(passed(logits, y)), F.kl_div(logits.log_softmax(1), y, reduction="batchmean"))


def test_it_is_ce_less_the_targets_entropy_with_ce_s_gradient_bit_for_bit() -> None:
    logits, hard, soft = sample()
    for y in (hard, soft):
        (mine, slope), (plain, same) = (value_and_gradient(term, logits, y) for term in (kl(), ce()))
        assert torch.equal(slope, same)
        torch.testing.assert_close(plain - mine, torch.distributions.Categorical(y).entropy().mean())
    assert entropy(hard) == 0


def test_float32_inside_half_precision_and_lanes() -> None:
    logits, _, soft = sample(96)
    assert kl()(passed(logits.bfloat16(), soft)).dtype == torch.float32
    lanes = torch.vmap(lambda z, y: kl()(passed(z, y)))(logits.view(3, 32, 10), soft.view(3, 32, 10))
    torch.testing.assert_close(lanes[1], kl()(passed(logits[32:64], soft[32:64])))
