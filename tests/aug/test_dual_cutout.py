"""Dual cutout against the formula, by itself and through the real learner."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from one_step import begun, stepped
from passes import passed
from tiny import SMALL_MODEL, TINY, config
from torch import Tensor, nn

from ablation.aug.cutout import cutout
from ablation.aug.dual_cutout import dual_cutout
from ablation.key import Key
from ablation.types import Batch, Term

Make = Callable[..., Batch]


def attached(alpha: float) -> Term:
    return dual_cutout(alpha=alpha)[1].attach(nn.Identity())  # type: ignore[arg-type]


def formula(a: Tensor, b: Tensor, y: Tensor, alpha: float) -> Tensor:
    both = nn.CrossEntropyLoss()(a, y) / 2 + nn.CrossEntropyLoss()(b, y) / 2
    return both + alpha * nn.MSELoss()(a, b)


def test_two_cutouts_of_each_image_with_places_of_their_own(make: Make) -> None:
    batch, key = make(), Key.root(2)
    out = dual_cutout(8, 2)[0](batch, key)
    one, other = out.x.chunk(2)
    for copy, part in enumerate((one, other)):
        assert torch.equal(part, cutout(8, 2)(batch, key.fold(copy)).x)
    assert (one != other).flatten(1).any(1).float().mean() > 0.95
    assert torch.equal(out.y, torch.cat([batch.y, batch.y]))
    assert out.x.is_contiguous(memory_format=torch.channels_last)


def test_loss_and_gradient_are_the_formulas_in_a_real_step() -> None:
    plan, _ = begun(config(*TINY, *SMALL_MODEL, "aug=[channel_drop,dual_cutout]", "aug.dual_cutout.alpha=0.7"))
    learner, key, t = plan.learner, Key.root(1), torch.tensor(0.0)
    x, y = plan.train.x[:8], plan.train.y[:8]
    params = list(learner.parameters())
    ours = learner(x, y, key, t).loss
    batch = learner.augment(learner.standard(x, y, key, t), key)
    a, b = learner.model(learner.normalise(batch.x)).chunk(2)
    wanted = formula(a, b, y, 0.7)
    torch.testing.assert_close(ours, wanted)
    for one, other in zip(torch.autograd.grad(ours, params), torch.autograd.grad(wanted, params), strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_the_two_of_an_image_are_found_where_the_batch_was_copied_since() -> None:
    logits = torch.randn(24, 10, generator=torch.Generator().manual_seed(0))
    given = passed(logits, torch.eye(10)[torch.arange(24) % 10])
    given = given._replace(clean=given.batch._replace(y=given.batch.y[:6]))  # 6 images, two cutouts, copied once
    (a, b), (c, d) = logits[:12].chunk(2), logits[12:].chunk(2)
    wanted = 0.1 * nn.MSELoss()(torch.cat([a, c]), torch.cat([b, d]))
    torch.testing.assert_close(attached(0.1)(given), wanted)
    with pytest.raises(ValueError, match="two of each of 7"):
        attached(0.1)(given._replace(clean=given.batch._replace(y=given.batch.y[:7])))


def test_two_equal_images_without_the_term_train_as_one() -> None:
    ends = []
    for typed in (("optim.lr=1e-9",), (), ("aug=dual_cutout", "aug.dual_cutout.size=0", "aug.dual_cutout.alpha=0")):
        plan, state = begun(config(*TINY, *SMALL_MODEL, *typed))
        stepped(plan, state)
        ends.append(torch.cat([p.detach().flatten() for p in state.weights.params.values()]))
    start, one, two = ends
    assert (two - one).norm() < 0.02 * (one - start).norm()  # rounding decides the ReLUs at their kinks


@pytest.mark.parametrize(
    ("arguments", "named"), [({"size": -1}, "size"), ({"holes": 0}, "holes"), ({"alpha": -0.1}, "alpha")]
)
def test_refuses(arguments: dict[str, int], named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named}: "):
        dual_cutout(**arguments)
