from collections.abc import Callable

import pytest
import torch
import torchvision.models as library
from networks import parameters
from pytorchcv.model_provider import get_model
from torch import Tensor, nn

from ablation.model.densenet import densenet

Images = Callable[..., Tensor]


def check_equal(ours: nn.Module, theirs: nn.Module, x: Tensor) -> None:
    theirs = theirs.to_empty(device="cpu")
    theirs.load_state_dict(dict(zip(theirs.state_dict(), ours.state_dict().values(), strict=True)))
    for training in (True, False):
        torch.testing.assert_close(ours.train(training)(x), theirs.train(training)(x), rtol=1e-3, atol=1e-4)


def test_at_imagenets_stem_it_is_torchvisions(images: Images) -> None:
    with torch.device("meta"):
        theirs = library.densenet121(num_classes=10)
    check_equal(densenet(10, 3, 64, stem="7x7/2+maxpool"), theirs, images(2, size=64))


def test_for_small_images_it_is_the_papers_other_network(images: Images) -> None:
    """As pytorchcv has it, whose depth 40 is that of 100 with six layers a block."""
    with torch.device("meta"):
        theirs = get_model("densenet40_k12_bc_cifar10")
    theirs.features.final_pool = nn.AdaptiveAvgPool2d(1)  # theirs is for 32 px
    check_equal(densenet(10, 3, 16, depth=40, growth=12), theirs, images(2, size=16))


@pytest.mark.parametrize(
    ("depth", "growth", "classes", "stem", "millions"),
    [
        (100, 12, 10, "3x3/1", 0.77),  # paper, table 2: 0.8; pytorchcv 0.769
        (250, 24, 10, "3x3/1", 15.3),  # paper, table 2
        (190, 40, 10, "3x3/1", 25.6),  # paper, table 2
        (121, 12, 10, "3x3/1", 1.001),  # CIFAR tricks README, counted from its code
        (121, 32, 1000, "7x7/2+maxpool", 7.979),  # torchvision
        (169, 32, 1000, "7x7/2+maxpool", 14.149),  # torchvision
        (201, 32, 1000, "7x7/2+maxpool", 20.014),  # torchvision
    ],
)
def test_has_the_published_parameters(depth: int, growth: int, classes: int, stem: str, millions: float) -> None:
    with torch.device("meta"):
        model = densenet(classes, 3, 32, depth, growth, stem)
    assert parameters(model) / 1e6 == pytest.approx(millions, rel=0.01)


@pytest.mark.parametrize(("depth", "stem", "side"), [(121, "3x3/1", 4), (121, "7x7/2+maxpool", 1), (40, "3x3/1", 8)])
def test_the_last_map(depth: int, stem: str, side: int) -> None:
    with torch.device("meta"):
        model = densenet(10, 1, 32, depth, 4, stem)
        assert model.body[0](torch.zeros(2, 1, 32, 32)).shape[-1] == side  # type: ignore[index, operator]


def test_refuses() -> None:
    with pytest.raises(ValueError, match=r"^depth: 120 is neither .*; nearest are 118 and 124$"):
        densenet(10, 3, 32, depth=120)
    with pytest.raises(ValueError, match=r"^growth: 0 channels"):
        densenet(10, 3, 32, growth=0)
    with pytest.raises(ValueError, match=r"^stem: 7x7/2\+maxpool needs images of at least 32 px"):
        densenet(10, 3, 28, stem="7x7/2+maxpool")
