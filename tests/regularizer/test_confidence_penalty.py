"""The confidence penalty against torch's entropy and a closed form."""

from __future__ import annotations

import pytest
import torch
from passes import Nothing, passed
from torch import Tensor

from ablation.regularizer.confidence_penalty import confidence_penalty


def said(beta: float, logits: Tensor) -> Tensor:
    return confidence_penalty(beta).attach(Nothing())(passed(logits, torch.zeros_like(logits)))


LOGITS = 3 * torch.randn(24, 10, generator=torch.Generator().manual_seed(0))


def test_is_minus_beta_times_torchs_entropy() -> None:
    expected = -0.3 * torch.distributions.Categorical(logits=LOGITS).entropy().mean()
    torch.testing.assert_close(said(0.3, LOGITS), expected)


def test_the_gradient_is_the_papers() -> None:
    """dH/dz_k = -p_k (log p_k + H), equation 1 of the paper."""
    leaf = LOGITS.clone().requires_grad_()
    said(1.0, leaf).backward()  # type: ignore[no-untyped-call]
    p = LOGITS.softmax(1)
    h = torch.distributions.Categorical(p).entropy()[:, None]
    torch.testing.assert_close(leaf.grad, p * (p.log() + h) / 24)


def test_beta_0_adds_nothing_and_certain_answers_stay_finite() -> None:
    leaf = (1e4 * LOGITS).requires_grad_()
    loss = said(0.0, leaf)
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss == 0
    assert torch.equal(leaf.grad, torch.zeros_like(leaf))  # type: ignore[arg-type]


def test_float32_inside_half_precision_and_lanes() -> None:
    assert said(0.1, LOGITS.bfloat16()).dtype == torch.float32
    lanes = torch.vmap(lambda z: said(0.1, z))(LOGITS.view(3, 8, 10))
    torch.testing.assert_close(lanes[1], said(0.1, LOGITS[8:16]))


@pytest.mark.parametrize("beta", [-0.1, float("inf"), float("nan")])
def test_refuses(beta: float) -> None:
    with pytest.raises(ValueError, match=r"^beta: "):
        confidence_penalty(beta)
