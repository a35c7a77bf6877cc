from collections.abc import Callable

import pytest
import torch
import torchvision.models as library
from torch import Tensor, nn

from ablation.model.vgg import vgg

Images = Callable[..., Tensor]


@pytest.mark.parametrize(("depth", "norm"), [(11, True), (16, False)])
def test_computes_what_torchvision_computes(depth: int, norm: bool, images: Images) -> None:
    """With the linear layer in the place of its three; at 32 px its last map is one pixel."""
    with torch.device("meta"):
        theirs = getattr(library, f"vgg{depth}{'_bn' if norm else ''}")(init_weights=False)
    theirs.avgpool, theirs.classifier = nn.Identity(), nn.Linear(512, 10)
    theirs = theirs.to_empty(device="cpu")
    ours = vgg(10, 3, 32, depth, norm)
    theirs.load_state_dict(dict(zip(theirs.state_dict(), ours.state_dict().values(), strict=True)))
    for training in (True, False):
        torch.testing.assert_close(ours.train(training)(images(2)), theirs.train(training)(images(2)))


def test_starts_as_torchvision_starts() -> None:
    """Normal with the variance 2 / fan-out."""
    for conv in (m for m in vgg(10, 3, 32).modules() if isinstance(m, nn.Conv2d)):
        assert conv.weight.std().item() == pytest.approx((2 / (9 * conv.out_channels)) ** 0.5, rel=0.06)
        assert conv.bias is not None
        assert not conv.bias.any()


@pytest.mark.parametrize("size", [32, 64, 224])
@pytest.mark.parametrize("depth", [11, 13, 16, 19])
def test_shapes(depth: int, size: int) -> None:
    with torch.device("meta"):
        model, x = vgg(100, 1, size, depth), torch.zeros(2, 1, size, size)
        assert model.features(x).shape == (2, 512)
        assert model(x).shape == (2, 100)


def test_refuses() -> None:
    with pytest.raises(ValueError, match=r"^depth: there is no VGG-12; did you mean"):
        vgg(10, 3, 32, depth=12)
    with pytest.raises(ValueError, match=r"^size: five poolings leave nothing of images of 28 px"):
        vgg(10, 1, 28)
