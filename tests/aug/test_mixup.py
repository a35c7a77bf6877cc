from collections.abc import Callable

import pytest
import torch
from scipy import stats
from torch import Tensor
from torch.nn import functional as F

from ablation.aug.mixup import mixup
from ablation.key import Key
from ablation.loss.ce import cross_entropy
from ablation.types import Batch

Make = Callable[..., Batch]


def lams(alpha: float, n: int, larger: bool = False) -> Tensor:
    """The lam of each sample, read off images of which sample i is all i/n and targets that say which is which."""
    batch = Batch(torch.zeros(n, 1, 1, 1), torch.eye(n), torch.tensor(0.0), torch.zeros(1))
    out = mixup(alpha, per="sample", larger=larger)(batch, Key.root(11))
    lam = out.y.diagonal()
    return lam[lam < 1]  # those that were not paired with themselves


@pytest.mark.parametrize("alpha", [0.2, 1.0, 2.0])
def test_lam_is_beta(alpha: float) -> None:
    lam = lams(alpha, 2000).double().numpy()
    # Below a half only: above, float32 rounds small complements to 1.
    small = stats.beta(alpha, alpha)
    assert abs((lam < 0.5).mean() - 0.5) < 0.06
    assert stats.kstest(lam[lam < 0.5], lambda v: 2 * small.cdf(v)).pvalue > 1e-3


def test_larger_keeps_the_own_label_on_top() -> None:
    assert lams(0.5, 300).min() < 0.5
    assert lams(0.5, 300, larger=True).min() >= 0.5


def test_per_batch_is_the_papers_formula_with_one_lam(make: Make) -> None:
    batch, key = make(), Key.root(5)
    out = mixup(1.0)(batch, key)
    lam, partner = key.fold("lam").beta(1.0, 1.0, 1), key.fold("partner").permutation(64)
    torch.testing.assert_close(out.x, lam * batch.x + (1 - lam) * batch.x[partner])
    torch.testing.assert_close(out.y, lam * batch.y + (1 - lam) * batch.y[partner])
    assert sorted(partner.tolist()) == list(range(64))


@pytest.mark.parametrize(("per", "larger"), [("batch", False), ("sample", False), ("sample", True)])
def test_label_loss_and_kl_forms_have_one_gradient(make: Make, per: str, larger: bool) -> None:
    """The three ways to write the loss, the last two by torch: only the KL's value differs, by the targets' entropy."""
    batch, key = make(), Key.root(6)
    mixed, partner = mixup(1.0, per, larger)(batch, key).y, key.fold("partner").permutation(64)
    lam = key.fold("lam").beta(1.0, 1.0, 64 if per == "sample" else 1)
    lam = torch.maximum(lam, 1 - lam) if larger else lam
    logits = torch.randn(64, 10, generator=torch.Generator().manual_seed(0), requires_grad=True)
    own, other = (F.cross_entropy(logits, y.argmax(1), reduction="none") for y in (batch.y, batch.y[partner]))
    by_loss = (lam * own + (1 - lam) * other).mean()
    by_label, by_kl = cross_entropy(logits, mixed), F.kl_div(logits.log_softmax(1), mixed, reduction="batchmean")
    torch.testing.assert_close(by_label, by_loss)
    torch.testing.assert_close(by_label - by_kl, torch.special.entr(mixed).sum(1).mean())
    slopes = [torch.autograd.grad(loss, logits, retain_graph=True)[0] for loss in (by_label, by_loss, by_kl)]
    assert slopes[0].abs().max() > 1e-3
    for slope in slopes[1:]:
        torch.testing.assert_close(slope, slopes[0], atol=1e-8, rtol=1e-5)


def test_equal_images_stay_as_they_are(make: Make) -> None:
    batch = make()
    same = batch._replace(x=batch.x[:1].expand(64, -1, -1, -1), y=batch.y[:1].expand(64, -1))
    out = mixup(0.7, per="sample")(same, Key.root(0))
    assert torch.equal(out.x, same.x)
    assert torch.equal(out.y, same.y)


def test_alpha_0_changes_nothing(make: Make) -> None:
    batch = make()
    out = mixup(0.0)(batch, Key.root(0))
    assert out.x is batch.x
    assert out.y is batch.y


@pytest.mark.parametrize(
    ("arguments", "named"),
    [({"alpha": -0.1}, "alpha"), ({"alpha": float("nan")}, "alpha"), ({"per": "image"}, "per")],
)
def test_refuses(arguments: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named}: "):
        mixup(**arguments)  # type: ignore[arg-type]
