"""Distillation against torch's own divergence and closed forms."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from passes import passed
from torch import Tensor, nn

from ablation.loss.ce import ce
from ablation.loss.distill import distill, divergence


def sample(n: int = 32, k: int = 10) -> tuple[Tensor, Tensor, Tensor]:
    """Logits of a student and a teacher, and soft targets."""
    g = torch.Generator().manual_seed(0)
    student, teacher = 5 * torch.randn(n, k, generator=g), 5 * torch.randn(n, k, generator=g)
    return student, teacher, torch.rand(n, k, generator=g).softmax(1)


def gradient(student: Tensor, teacher: Tensor, y: Tensor, temperature: float, alpha: float) -> Tensor:
    leaf = student.clone().requires_grad_()
    distill(temperature, alpha).term(passed(leaf, y), teacher).backward()  # type: ignore[no-untyped-call]
    assert leaf.grad is not None
    return leaf.grad


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0, 20.0])
@pytest.mark.parametrize("alpha", [0.0, 0.5, 0.9, 1.0])
def test_is_torchs_kl_div_and_cross_entropy(temperature: float, alpha: float) -> None:
    student, teacher, y = sample()
    soft = F.kl_div(F.log_softmax(student / temperature, 1), F.softmax(teacher / temperature, 1), reduction="batchmean")
    expected = alpha * temperature**2 * soft + (1 - alpha) * nn.CrossEntropyLoss()(student, y)
    torch.testing.assert_close(distill(temperature, alpha).term(passed(student, y), teacher), expected)


def test_the_gradient_is_the_closed_form() -> None:
    """d/dz of T^2 KL is T (q - p); of the cross-entropy, softmax - y."""
    student, teacher, y = sample()
    q, p = (student / 4).softmax(1), (teacher / 4).softmax(1)
    expected = (0.9 * 4 * (q - p) + 0.1 * (student.softmax(1) - y)) / len(y)
    torch.testing.assert_close(gradient(student, teacher, y, 4.0, 0.9), expected)


@pytest.mark.parametrize("form", ["uniform", "others"])
def test_the_sum_of_bag_of_tricks(form: str) -> None:
    """CE with smoothed labels, and T^2 times CE with the teacher's softened answer, T = 20: the same gradient."""
    student, teacher, y = sample()
    leaf = student.clone().requires_grad_()
    labels = 0.9 * y + (0.1 / 10 if form == "uniform" else 0.1 / 9 * (1 - y))
    soft = nn.CrossEntropyLoss()(leaf / 20, (teacher / 20).softmax(1))
    expected = torch.autograd.grad(nn.CrossEntropyLoss()(leaf, labels) + 20**2 * soft, leaf)[0]
    taught = distill(20.0, alpha=1.0, beta=1.0, eps=0.1, form=form)
    found = torch.autograd.grad(taught.term(passed(leaf, y), teacher), leaf)[0]
    torch.testing.assert_close(found, expected)


def test_neutral_arguments_change_no_bit() -> None:
    student, teacher, y = sample()
    plain = distill().term(passed(student, y), teacher)
    for others in (distill(beta=1 - 0.9), distill(eps=0.0), distill(eps=0.0, form="others")):
        assert torch.equal(others.term(passed(student, y), teacher), plain)
    assert distill(eps=0.1).term(passed(student, y), teacher) != plain


def test_alpha_0_has_the_gradients_of_ce_whatever_the_teacher() -> None:
    student, teacher, y = sample()
    leaf = student.clone().requires_grad_()
    ce()(passed(leaf, y)).backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(gradient(student, teacher, y, 4.0, 0.0), leaf.grad)


def test_a_student_that_is_its_teacher_has_nothing_to_learn_from_it() -> None:
    student, _, y = sample()
    assert divergence(student, student, 4.0) == 0
    torch.testing.assert_close(gradient(student, student, y, 4.0, 1.0), torch.zeros_like(student))


def test_t_squared_keeps_the_gradients_size() -> None:
    """For high temperatures it tends to (z - v)/K of zero-meaned logits (section 2.1 of the paper), whatever T."""
    student, teacher, y = sample()
    limit = (student - student.mean(1, keepdim=True)) - (teacher - teacher.mean(1, keepdim=True))
    for temperature in (1e2, 1e3):
        soft = gradient(student, teacher, y, temperature, 1.0)
        assert (soft * 10 * len(y) - limit).norm() < 20 / temperature * limit.norm()


def test_float32_inside_half_precision() -> None:
    student, teacher, y = sample()
    half = distill().term(passed(student.bfloat16(), y), teacher.bfloat16())
    whole = distill().term(passed(student.bfloat16().float(), y), teacher.bfloat16().float())
    assert half.dtype == torch.float32
    assert torch.equal(half, whole)


def test_a_certain_teacher_stays_finite() -> None:
    student, _, y = sample()
    certain = 1e4 * torch.eye(10)[torch.arange(32) % 10]
    assert gradient(student, certain, y, 1.0, 1.0).isfinite().all()
    assert divergence(certain, student, 1.0).isfinite()


@settings(max_examples=30, deadline=None)
@given(temperature=st.floats(0.1, 100), alpha=st.floats(0, 1))
def test_lanes_are_single_seeds(temperature: float, alpha: float) -> None:
    student, teacher, y = sample(96)
    term = distill(temperature, alpha).term
    parts = [tensor.view(3, 32, 10) for tensor in (student, teacher, y)]
    lanes = torch.vmap(lambda z, v, y: term(passed(z, y), v))(*parts)
    for i in range(3):
        torch.testing.assert_close(lanes[i], term(passed(parts[0][i], parts[2][i]), parts[1][i]))


@pytest.mark.parametrize(
    ("arguments", "named"),
    [({"temperature": 0}, "temperature"), ({"temperature": -1}, "temperature"), ({"alpha": 1.1}, "alpha"),
     ({"alpha": -0.1}, "alpha"), ({"alpha": float("nan")}, "alpha"), ({"temperature": float("nan")}, "temperature"),
     ({"alpha": -1, "beta": 1}, "alpha"), ({"beta": -1}, "beta"), ({"eps": 1.0}, "eps"), ({"form": "others"}, "form"),
     ({"eps": 0.1, "form": "posneg"}, "form")],
)  # fmt: skip
def test_refuses(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named}: "):
        distill(**arguments)
