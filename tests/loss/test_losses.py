import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from passes import passed
from timm.loss.cross_entropy import LabelSmoothingCrossEntropy, SoftTargetCrossEntropy
from torch import Tensor, nn

from ablation.loss.ce import ce
from ablation.loss.label_smoothing import label_smoothing, smooth
from ablation.types import Term


def sample(n: int = 32, k: int = 10) -> tuple[Tensor, Tensor, Tensor]:
    """Logits, labels, and soft targets."""
    g = torch.Generator().manual_seed(0)
    logits, labels = 5 * torch.randn(n, k, generator=g), torch.randint(k, (n,), generator=g)
    return logits, labels, torch.rand(n, k, generator=g).softmax(1)


def value_and_gradient(term: Term, logits: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    leaf = logits.clone().requires_grad_()
    loss = term(passed(leaf, y))
    loss.backward()  # type: ignore[no-untyped-call]
    assert leaf.grad is not None
    return loss.detach(), leaf.grad


def test_ce_is_torchs_for_hard_and_soft_targets() -> None:
    logits, labels, soft = sample()
    torch.testing.assert_close(ce()(passed(logits, torch.eye(10)[labels])), nn.CrossEntropyLoss()(logits, labels))
    torch.testing.assert_close(ce()(passed(logits, soft)), nn.CrossEntropyLoss()(logits, soft))
    torch.testing.assert_close(ce()(passed(logits, soft)), SoftTargetCrossEntropy()(logits, soft))


def test_ce_has_the_closed_forms_gradient() -> None:
    logits, _, soft = sample()
    _, gradient = value_and_gradient(ce(), logits, soft)
    torch.testing.assert_close(gradient, (logits.softmax(1) - soft) / 32)


def test_float32_inside_half_precision() -> None:
    logits, labels, _ = sample()
    loss = ce()(passed(logits.bfloat16(), torch.eye(10)[labels]))
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, nn.CrossEntropyLoss()(logits.bfloat16().float(), labels))


@pytest.mark.parametrize("eps", [0.0, 0.05, 0.1, 0.4])
def test_uniform_is_torchs_and_timms(eps: float) -> None:
    logits, labels, soft = sample()
    loss = label_smoothing(eps)(passed(logits, torch.eye(10)[labels]))
    torch.testing.assert_close(loss, nn.CrossEntropyLoss(label_smoothing=eps)(logits, labels))
    torch.testing.assert_close(loss, LabelSmoothingCrossEntropy(smoothing=eps)(logits, labels))
    mixed = label_smoothing(eps)(passed(logits, soft))
    torch.testing.assert_close(mixed, nn.CrossEntropyLoss(label_smoothing=eps)(logits, soft))


def test_others_is_as_printed_and_converts() -> None:
    """1 - eps and eps/(K-1); the same targets as the uniform form with eps K/(K-1)."""
    logits, labels, _ = sample()
    y = torch.eye(10)[labels]
    torch.testing.assert_close(smooth(y, 0.1, "others"), torch.where(y == 1, 0.9, 0.1 / 9))
    one = label_smoothing(0.09, form="others")(passed(logits, y))
    torch.testing.assert_close(one, label_smoothing(0.1)(passed(logits, y)))


@pytest.mark.parametrize("form", ["uniform", "others"])
def test_eps_0_is_ce_bit_for_bit_and_the_default_is_not(form: str) -> None:
    logits, labels, soft = sample()
    for y in (torch.eye(10)[labels], soft):
        for mine, plain in zip(
            value_and_gradient(label_smoothing(0.0, form), logits, y), value_and_gradient(ce(), logits, y), strict=True
        ):
            assert torch.equal(mine, plain)
        assert label_smoothing(form=form)(passed(logits, y)) != ce()(passed(logits, y))


@settings(max_examples=30, deadline=None)
@given(eps=st.floats(0, 0.99), form=st.sampled_from(["uniform", "others"]), k=st.integers(2, 20))
def test_targets_still_sum_to_one(eps: float, form: str, k: int) -> None:
    smoothed = smooth(sample(k=k)[2], eps, form)
    assert (smoothed >= 0).all()
    torch.testing.assert_close(smoothed.sum(1), torch.ones(32))


def test_lanes_are_single_seeds() -> None:
    logits, _, soft = sample(96)
    for term in (ce(), label_smoothing(), label_smoothing(form="others")):
        lanes = torch.vmap(lambda z, y, term=term: term(passed(z, y)))(logits.view(3, 32, 10), soft.view(3, 32, 10))
        for i in range(3):
            part = slice(32 * i, 32 * i + 32)
            torch.testing.assert_close(lanes[i], term(passed(logits[part], soft[part])))


@pytest.mark.parametrize(("arguments", "named"), [({"eps": -0.1}, "eps"), ({"eps": 1}, "eps"), ({"form": "k"}, "form")])
def test_refuses(arguments: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named}: "):
        label_smoothing(**arguments)  # type: ignore[arg-type]
