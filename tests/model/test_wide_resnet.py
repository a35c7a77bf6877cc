from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from pytorchcv.models.wrn_cifar import get_wrn_cifar
from torch import Tensor, nn

from ablation.build import build
from ablation.errors import ConfigError
from ablation.model.block import PreBlock, residual_blocks
from ablation.model.wide_resnet import wide_resnet

Images = Callable[..., Tensor]
CONTEXT = {"classes": 10, "channels": 3, "size": 32}
TARGET = {"_target_": "ablation.model.wide_resnet.wide_resnet"}


def count(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize(
    ("depth", "width", "millions"),
    [
        (28, 10, "36.5"),
        (40, 4, "8.9"),
        (16, 8, "11.0"),
        (40, 1, "0.6"),
        (40, 2, "2.2"),
        (40, 8, "35.7"),
        (22, 8, "17.2"),
    ],
)  # of the paper's tables of CIFAR
def test_has_the_papers_parameters(depth: int, width: float, millions: str) -> None:
    with torch.device("meta"):
        assert f"{count(wide_resnet(10, 3, 32, depth, width)) / 1e6:.1f}" == millions


@pytest.mark.parametrize(("depth", "width"), [(16, 1), (10, 2)])
def test_computes_what_pytorchcv_computes(
    depth: int, width: int, images: Images, scramble: Callable[[nn.Module], None]
) -> None:
    theirs = get_wrn_cifar(10, depth, width)
    scramble(theirs)
    ours = wide_resnet(10, 3, 32, depth, width)
    pairs = zip(ours.state_dict().items(), theirs.state_dict().values(), strict=True)
    ours.load_state_dict({name: value for (name, _), value in pairs})
    for training in (False, True):
        torch.testing.assert_close(ours.train(training)(images()), theirs.train(training)(images()))


def test_a_block_is_the_papers(images: Images, scramble: Callable[[nn.Module], None]) -> None:
    """BN-ReLU-conv twice, added to a convolution of the first BN-ReLU where the shape changes, else to x itself."""
    model = wide_resnet(10, 3, 32, 16, 2).eval()
    scramble(model)

    def active(x: Tensor, norm: nn.Module) -> Tensor:
        p = norm.state_dict()
        return F.relu(F.batch_norm(x, p["running_mean"], p["running_var"], p["weight"], p["bias"]))

    for block, inside, stride in ((residual_blocks(model)[2], 32, 2), (residual_blocks(model)[3], 64, 1)):
        assert isinstance(block, PreBlock)
        w = {name: p for name, p in block.named_parameters() if p.ndim == 4}
        x = images(channels=inside, size=8)
        first = active(x, block.pre[0])
        h = F.conv2d(first, w["branch.conv1.weight"], stride=stride, padding=1)
        h = F.conv2d(active(h, block.branch.get_submodule("norm1")), w["branch.conv2.weight"], padding=1)
        carried = F.conv2d(first, w["shortcut.weight"], stride=stride) if stride == 2 else x
        torch.testing.assert_close(block(x), carried + h)


@pytest.mark.parametrize("width", [0.5, 1, 10 / 2**0.5])
def test_width_multiplies_all_channels_but_the_stems(width: float) -> None:
    with torch.device("meta"):
        model = wide_resnet(10, 3, 32, 10, width)
    convs = [m.out_channels for n, m in model.named_modules() if isinstance(m, nn.Conv2d) and "shortcut" not in n]
    assert convs == [16, *(round(width * c) for c in (16, 16, 32, 32, 64, 64))]


def test_a_half_of_a_divided_network_has_half_the_parameters() -> None:
    with torch.device("meta"):
        whole, half = (count(wide_resnet(10, 3, 32, 28, width)) for width in (10, 10 / 2**0.5))
    assert half / whole == pytest.approx(0.5, rel=0.01)


@pytest.mark.parametrize("shortcut", ["1x1", "pad", "3x3"])
@pytest.mark.parametrize(("channels", "size", "classes", "stem"), [(1, 33, 100, "3x3/1"), (3, 64, 10, "7x7/2+maxpool")])
def test_shapes(shortcut: str, channels: int, size: int, classes: int, stem: str) -> None:
    with torch.device("meta"):
        model = wide_resnet(classes, channels, size, 10, 2, stem, shortcut, branches=2, drop=nn.Dropout)
        x = torch.zeros(2, channels, size, size)
    assert model.features(x).shape == (2, 128)
    assert model(x).shape == (2, classes)


def test_the_lab_notes_activation_is_used_everywhere() -> None:
    with torch.device("meta"):
        model = wide_resnet(10, 3, 32, 10, 2, act="leaky_relu", slope=0.1, bn_momentum=0.001)
    acts = [m for m in model.modules() if isinstance(m, nn.ReLU | nn.LeakyReLU)]
    assert [m.negative_slope for m in acts if isinstance(m, nn.LeakyReLU)] == [0.1] * 7
    assert len(acts) == 7
    assert {m.momentum for m in model.modules() if isinstance(m, nn.BatchNorm2d)} == {0.001}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"depth": 29}, "model.depth: 29 is not 6n+4; nearest are 28 and 34"),
        ({"depth": 4}, "model.depth: 4 is not 6n+4; the smallest is 10"),
        ({"width": 0.01}, "model.width: 0.01 leaves no channel; use at least 0.0625"),
        (
            {"width": 0.5, "shortcut": "pad"},
            "model.width: 0.5 is below 1, where a shortcut that pads would cut channels",
        ),
        ({"stem": "3x3"}, "model.stem: there is no '3x3'"),
        ({"slope": 0.1}, "model.slope: relu has none"),
        ({"bn_momentum": 0.0}, "model.bn_momentum: 0.0 is not in (0, 1]"),
        ({"branches": 0}, "model.branches: 0 is less than one"),
    ],
)
def test_refuses_with_the_way_out(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught, torch.device("meta"):
        build({**TARGET, **arguments}, "model", **CONTEXT)
    assert str(caught.value).startswith(message)


def test_refuses_images_that_are_too_small() -> None:
    with pytest.raises(ValueError, match=r"^stem: 3x3/1 needs images of at least 4 px, these have 3"):
        wide_resnet(10, 3, 3)
