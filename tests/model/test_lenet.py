from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ablation.model.lenet import lenet

Images = Callable[..., Tensor]


def test_has_its_parameters() -> None:
    """6 (25 * 3 + 1) + 16 (25 * 6 + 1) + 120 (400 + 1) + 84 (120 + 1) + 10 (84 + 1); the tables say 0.062 M."""
    assert sum(p.numel() for p in lenet(10, 3, 32).parameters()) == 456 + 2416 + 48120 + 10164 + 850 == 62006


@pytest.mark.parametrize(("channels", "size"), [(3, 32), (1, 28), (3, 33), (1, 16)])
def test_computes_lenet(channels: int, size: int, images: Images) -> None:
    model, x = lenet(10, channels, size), images(4, channels, size)
    p = iter(model.parameters())

    def conv(x: Tensor) -> Tensor:
        return F.max_pool2d(F.relu(F.conv2d(x, next(p), next(p))), 2)

    def linear(x: Tensor) -> Tensor:
        return F.linear(x, next(p), next(p))

    features = F.relu(linear(F.relu(linear(conv(conv(x)).flatten(1)))))
    torch.testing.assert_close(model.features(x), features)
    for training in (True, False):
        torch.testing.assert_close(model.train(training)(x), F.linear(features, *list(model.parameters())[-2:]))


@pytest.mark.parametrize(("classes", "channels", "size"), [(10, 1, 32), (100, 3, 64), (1000, 3, 224)])
def test_shapes(classes: int, channels: int, size: int) -> None:
    with torch.device("meta"):
        model, x = lenet(classes, channels, size), torch.empty(2, channels, size, size)
        assert model.features(x).shape == (2, 84)
        assert model(x).shape == (2, classes)


def test_refuses() -> None:
    with pytest.raises(ValueError, match=r"^size: LeNet-5 needs images of at least 16 px, these have 15"):
        lenet(10, 3, 15)
