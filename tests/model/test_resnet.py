from collections.abc import Callable

import pytest
import torch
import torchvision.models as library
from torch import Tensor, nn

from ablation.model.resnet import resnet

Images = Callable[..., Tensor]
THEIRS = {18: library.resnet18, 34: library.resnet34, 50: library.resnet50}


def their_state(model: nn.Module) -> dict[str, Tensor]:
    """Our state under torchvision's names."""
    return {n.replace("body.", "").replace("head.", "fc."): v for n, v in model.state_dict().items()}


@pytest.mark.parametrize(("depth", "millions"), [(18, "11.2"), (34, "21.3"), (50, "23.5")])
def test_has_the_usual_parameters(depth: int, millions: str) -> None:
    with torch.device("meta"):
        assert f"{sum(p.numel() for p in resnet(10, 3, 32, depth).parameters()) / 1e6:.1f}" == millions


@pytest.mark.parametrize("depth", [18, 34, 50])
@pytest.mark.parametrize("stem", ["3x3/1", "7x7/2+maxpool"])
def test_computes_what_torchvision_computes(depth: int, stem: str, images: Images) -> None:
    theirs = THEIRS[depth](num_classes=10)
    if stem == "3x3/1":
        theirs.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
        theirs.maxpool = nn.Identity()
    ours = resnet(10, 3, 32, depth, stem)
    theirs.load_state_dict(their_state(ours))
    for training in (True, False):
        torch.testing.assert_close(ours.train(training)(images(2)), theirs.train(training)(images(2)))


def test_starts_as_torchvision_starts() -> None:
    ours = their_state(resnet(10, 3, 32, stem="7x7/2+maxpool"))
    for name, weight in library.resnet18(num_classes=10).state_dict().items():
        if name.endswith("weight") and weight.ndim == 4:
            torch.testing.assert_close(ours[name].std(), weight.std(), rtol=0.05, atol=0)
        elif "bn" in name:
            assert torch.equal(ours[name], weight), name  # gamma is 1 everywhere: not zero_gamma unasked


@pytest.mark.parametrize("stem", ["3x3/1", "3x3/2", "3x3/2+maxpool", "7x7/2", "7x7/2+maxpool"])
@pytest.mark.parametrize("channels", [1, 3])
def test_shapes(stem: str, channels: int, images: Images) -> None:
    model = resnet(100, channels, 64, stem=stem, bn_momentum=0.05).eval()
    assert model.features(images(1, channels, 64)).shape == (1, 512)
    assert model(images(1, channels, 64)).shape == (1, 100)
    assert {m.momentum for m in model.modules() if isinstance(m, nn.BatchNorm2d)} == {0.05}


def test_refuses() -> None:
    with pytest.raises(ValueError, match=r"^depth: there is no ResNet-20; valid: 18, 34, 50"):
        resnet(10, 3, 32, depth=20)
    with pytest.raises(ValueError, match=r"^stem: 7x7/2\+maxpool needs images of at least 32 px, these have 28"):
        resnet(10, 1, 28, stem="7x7/2+maxpool")
    with pytest.raises(ValueError, match=r"^bn_momentum: 2 is not in"):
        resnet(10, 1, 28, bn_momentum=2)
