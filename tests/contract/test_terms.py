"""A loss or a penalty of a user's own is called before anything is trained, and so are a teacher's targets."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from made import refusal, squares, used
from torch import Tensor

from ablation.trial.parts import parts
from ablation.types import Model, Pass, Penalty, Taught, Term


class Untold(torch.autograd.Function):
    """A function of one's own whose gradient was never tried."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        raise RuntimeError("no way back")


BAD_TERMS: dict[str, tuple[Any, str]] = {
    "number": (lambda given: squares(given).item(), "returned a float, not a tensor (was it read by .item()"),
    "a row": (lambda given: given.logits.square().mean(1), "returned a tensor of the shape (8,)"),
    "float64": (lambda given: squares(given).double(), "returned the loss as float64, not float32"),
    "nan": (lambda given: squares(given) * float("inf"), "returned the loss with numbers that are not finite"),
    "detached": (lambda given: squares(given).detach() + 1, "returned a number without a gradient"),
    "no slope": (
        lambda given: 0 * given.logits.sum() + squares(given).detach(),
        "whose gradient is 0: nothing is learnt",
    ),
    "wrong ones": (
        lambda given: 0 * squares(given) + (given.logits.argmax(1) != given.batch.y.argmax(1)).float().mean(),
        "whose gradient is 0: nothing is learnt",
    ),
    "no way down": (lambda given: squares(given) + (0 * given.logits.mean()).square().sqrt(), "is not finite"),
    "backward": (lambda given: Untold.apply(squares(given)), "raised RuntimeError: no way back"),
    "in place": (lambda given: given.batch.y.mul_(0.5).sum() * squares(given), "changes its input batch.y in place"),
    "two arguments": (lambda given, more: squares(given), "takes other arguments than it is given"),
    "torch": (lambda given: squares(given) * torch.rand(()), "it draws from torch's global generator"),
}


@pytest.mark.parametrize(("term", "said"), BAD_TERMS.values(), ids=BAD_TERMS)
@pytest.mark.parametrize("group", ["loss", "regularizer"])
def test_a_bad_term_is_refused(group: str, term: Any, said: str) -> None:
    path, part = ("loss", term) if group == "loss" else ("regularizer.mine", Penalty(lambda model: term))
    told = refusal(group, part)
    assert told.startswith(f"{path}: ")
    assert said in told.splitlines()[0]


def test_a_penalty_that_is_off_and_one_of_the_weights_pass() -> None:
    def weights(model: Model) -> Term:
        return lambda given: torch.stack([p.abs().sum() for p in model.parameters()]).sum() * 1e-6

    parts(used("regularizer", Penalty(lambda model: lambda given: given.logits.new_zeros(()))))
    parts(used("regularizer", Penalty(weights)))
    parts(used("loss", squares))


def truncated(given: Pass) -> Tensor:
    """Constant where the probability of the class is below a half, as of an untrained network (1805.07836, 3.3)."""
    p = (given.logits.softmax(1) * given.batch.y).sum(1)
    return ((1 - p.clamp(min=0.5) ** 0.7) / 0.7).mean()


def test_a_loss_may_have_no_gradient_of_some_answers_or_for_a_while() -> None:
    def late(given: Pass) -> Tensor:
        return torch.where(given.batch.t > 0.5, squares(given), squares(given).detach())

    for loss in (truncated, late):
        parts(used("loss", loss))
    parts(used("regularizer", Penalty(lambda model: lambda given: (given.logits.mean() - 9).relu())))


def test_bad_targets_of_a_teacher_are_refused() -> None:
    told = refusal(
        "loss", Taught(lambda given, logits: squares(given), relabel=lambda logits: logits), teacher="0" * 16
    )
    assert told.startswith("loss: returned targets that are no distribution")
