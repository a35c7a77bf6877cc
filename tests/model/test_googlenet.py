from collections.abc import Callable

import pytest
import torch
import torchvision.models as library
from networks import parameters
from torch import Tensor, nn
from torchvision.models.googlenet import BasicConv2d, Inception

from ablation.model.googlenet import googlenet

Images = Callable[..., Tensor]


def check_equal(ours: nn.Module, theirs: nn.Module, x: Tensor) -> None:
    theirs.load_state_dict(dict(zip(theirs.state_dict(), ours.state_dict().values(), strict=True)))
    for training in (True, False):
        torch.testing.assert_close(ours.train(training)(x), theirs.train(training)(x), rtol=1e-3, atol=1e-4)


def torchvisions() -> nn.Module:
    net: nn.Module = library.googlenet(num_classes=10, aux_logits=False, init_weights=False, dropout=0.0)
    return net


def test_with_imagenets_stem_it_is_torchvisions(images: Images) -> None:
    check_equal(googlenet(10, 3, 64, "7x7", "3x3", 32), torchvisions(), images(2, size=64))


def test_for_small_images_it_is_the_same_modules_and_another_stem(images: Images) -> None:
    theirs = torchvisions()
    stem = BasicConv2d(3, 192, kernel_size=3, padding=1)
    modules = [m for n, m in theirs.named_children() if isinstance(m, Inception) or n in ("maxpool3", "maxpool4")]
    hand = nn.Sequential(stem, *modules, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1024, 10))
    assert hand[: len(modules) + 1](images(2)).shape[-1] == 8
    check_equal(googlenet(10, 3, 32, wide="3x3"), hand, images(2))


def test_the_widest_convolutions() -> None:
    """Nine modules have one each."""
    with torch.device("meta"):
        sides = {
            wide: [
                m.conv.kernel_size[0] for m in googlenet(10, 3, 32, wide=wide).modules() if isinstance(m, BasicConv2d)
            ]
            for wide in ("3x3", "5x5", "3x3+3x3")
        }
    assert sides["5x5"].count(5) == 9
    assert len(sides["3x3+3x3"]) == len(sides["3x3"]) + 9


def test_has_the_published_parameters() -> None:
    with torch.device("meta"):
        assert parameters(googlenet(10, 3, 32)) / 1e6 == pytest.approx(6.166, rel=0.01)  # CIFAR tricks README
        assert parameters(googlenet(1000, 3, 64, "7x7", "3x3", 32)) == 6624904  # torchvision


def test_refuses() -> None:
    with pytest.raises(ValueError, match=r"^stem: there is no '5x5'; valid: 3x3, 7x7$"):
        googlenet(10, 3, 32, stem="5x5")
    with pytest.raises(ValueError, match=r"^wide: there is no '7x7'; "):
        googlenet(10, 3, 32, wide="7x7")
    with pytest.raises(ValueError, match=r"^stride: this network, of 4, cannot have 8; valid: 1, 2, 4"):
        googlenet(10, 3, 32, stride=8)
