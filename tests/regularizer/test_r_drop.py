"""R-Drop against the formula by torch's kl_div, and on a real network."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from one_step import begun, stepped
from passes import Nothing, passed, sample
from tiny import SMALL_MODEL, TINY, config
from torch import Tensor, nn

from ablation.errors import ConfigError
from ablation.key import Key
from ablation.learner import Learner
from ablation.regularizer.r_drop import r_drop
from ablation.train import Feed
from ablation.trial.parts import parts
from ablation.types import Noisy, Term


class Drawing(Nothing):
    """A model with something to draw."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = Noisy()


def attached(**arguments: Any) -> Term:
    return r_drop(**arguments).attach(Drawing())


def papers(first: Tensor, second: Tensor, y: Tensor, alpha: float) -> Tensor:
    p, q = first.log_softmax(1), second.log_softmax(1)
    disagreement = F.kl_div(p, q.exp(), reduction="batchmean") + F.kl_div(q, p.exp(), reduction="batchmean")
    return nn.CrossEntropyLoss()(second, y) + alpha * disagreement / 2


def test_is_the_papers_term_with_gradients_through_both_passes() -> None:
    first, hard, soft = sample()
    second = first.flip(0)
    for y in (hard, soft):
        a, b = (z.clone().requires_grad_() for z in (first, second))
        mine, theirs = attached(alpha=0.6)(passed(a, y, second=b)), papers(a, b, y, 0.6)
        torch.testing.assert_close(mine, theirs)
        torch.testing.assert_close(torch.autograd.grad(mine, (a, b)), torch.autograd.grad(theirs, (a, b)))


def test_equal_passes_agree_and_alpha_0_adds_nothing() -> None:
    first, hard, _ = sample()
    assert attached(labels="first")(passed(first, hard, second=first)) == 0
    assert attached(alpha=0.0, labels="first")(passed(first, hard, second=first.flip(0))) == 0


def test_float32_inside_half_precision_and_lanes() -> None:
    first, _, soft = sample(96)
    term = attached()
    assert term(passed(first.bfloat16(), soft, second=first.bfloat16())).dtype == torch.float32
    parts = [v.view(3, 32, 10) for v in (first, soft, first.flip(0))]
    lanes = torch.vmap(lambda z, y, s: term(passed(z, y, second=s)))(*parts)
    torch.testing.assert_close(lanes[1], term(passed(parts[0][1], parts[1][1], second=parts[2][1])))


def test_the_passes_of_a_real_step_differ_by_their_noise_alone() -> None:
    """The loss of a step is what two passes made by hand say."""
    row = (*TINY, *SMALL_MODEL, "regularizer=[dropout,r_drop]", "regularizer.dropout.place=logits")
    plan, state = begun(config(*row, "regularizer.r_drop.alpha=2"))
    learner: Learner = plan.learner
    x, y, word, t = Feed(plan, 0).batch(0)
    batch = learner.augment(learner.standard(x, y, Key(word), t), Key(word))
    dropout = learner.model.head[1]  # type: ignore[index]
    logits = learner.model.head[0](learner.model.features(learner.normalise(batch.x)))  # type: ignore[index]
    seen = []
    for key in (Key(word), Key(word).fold("r_drop")):
        dropout.word = key.fold("model.head.1").word
        seen.append(dropout(logits).detach())
    assert not torch.equal(*seen)
    expected = nn.CrossEntropyLoss()(seen[0], batch.y) + papers(seen[0], seen[1], batch.y, 2.0)
    plan, state = begun(config(*row, "regularizer.r_drop.alpha=2"))
    assert stepped(plan, state) == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize("others", ["r_drop", "[manifold_mixup,r_drop]"])
def test_a_model_that_draws_nothing_is_refused_before_training(others: str) -> None:
    with pytest.raises(ConfigError, match=r"regularizer\.r_drop\.alpha: no two passes of this model differ"):
        parts(config(*TINY, *SMALL_MODEL, f"regularizer={others}"))


@pytest.mark.parametrize(("arguments", "named"), [({"alpha": -1.0}, "alpha"), ({"labels": "second"}, "labels")])
def test_refuses(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named}: "):
        r_drop(**arguments)
