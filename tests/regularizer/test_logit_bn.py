"""Batch norm of the logits against PyTorch's, and its place beside dropout."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ablation.model.resnet_cifar import resnet_cifar
from ablation.regularizer.dropout import Dropout, dropout
from ablation.regularizer.logit_bn import logit_bn
from ablation.types import Model, Wrap


def net() -> Model:
    torch.manual_seed(0)
    return resnet_cifar(7, 3, 16, depth=8)


def images() -> Tensor:
    return torch.randn(8, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def test_logits_are_normalised_over_the_batch_and_by_running_statistics_in_evaluation() -> None:
    plain, ours = net(), logit_bn(momentum=0.3, affine=False).apply(net())
    logits = plain(images()).detach()
    torch.testing.assert_close(ours(images()), F.batch_norm(logits, None, None, training=True))
    mean, var = 0.3 * logits.mean(0), 0.7 + 0.3 * logits.var(0)
    expected = F.batch_norm(plain.eval()(images()), mean, var)
    torch.testing.assert_close(ours.eval()(images()), expected)


def test_learns_a_scale_and_a_shift_of_each_class() -> None:
    more = {name: p.shape for name, p in logit_bn().apply(net()).named_parameters() if name.startswith("head.1.")}
    assert more == {"head.1.weight": (7,), "head.1.bias": (7,)}
    assert not any(name.startswith("head.1.") for name, _ in logit_bn(affine=False).apply(net()).named_parameters())


@pytest.mark.parametrize(
    ("order", "place", "layers"),
    [
        (("dropout", "logit_bn"), "features", [Dropout, nn.Linear, nn.BatchNorm1d]),
        (("logit_bn", "dropout"), "features", [Dropout, nn.Linear, nn.BatchNorm1d]),
        (("dropout", "logit_bn"), "logits", [nn.Linear, Dropout, nn.BatchNorm1d]),
        (("logit_bn", "dropout"), "logits", [nn.Linear, nn.BatchNorm1d, Dropout]),
    ],
)
def test_the_order_of_the_list_is_that_of_the_layers(order: tuple[str, ...], place: str, layers: list[type]) -> None:
    model, wraps = net(), {"dropout": dropout(0.5, place), "logit_bn": logit_bn()}
    for name in order:
        wrap = wraps[name]
        assert isinstance(wrap, Wrap)
        model = wrap.apply(model)
    assert [type(m) for m in model.head.modules() if not isinstance(m, nn.Sequential)] == layers
    assert model(images()).shape == (8, 7)


def test_refuses() -> None:
    for momentum in (0.0, 1.1):
        with pytest.raises(ValueError, match=r"^momentum: .* is not in \(0, 1\]"):
            logit_bn(momentum)
    model: Any = net()
    model.head = nn.Identity()
    with pytest.raises(ValueError, match=r"^model: the head of ResNetCifar has no linear layer"):
        logit_bn().apply(model)
