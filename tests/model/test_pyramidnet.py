from collections.abc import Callable

import pytest
import pytorchcv.models.pyramidnet_cifar as theirs_pyramid
import torch
from torch import Tensor, nn

from ablation.build import build
from ablation.errors import ConfigError
from ablation.init.zero_gamma import zero_gamma
from ablation.key import Key
from ablation.model.block import Sum, residual_blocks
from ablation.model.pyramidnet import PyramidBlock, pyramidnet
from ablation.regularizer.shake_drop import ShakeDrop, shake_drop
from ablation.regularizer.shake_shake import shake_shake

Images = Callable[..., Tensor]
Scramble = Callable[[nn.Module], None]
CONTEXT = {"classes": 10, "channels": 3, "size": 32}
TARGET = {"_target_": "ablation.model.pyramidnet.pyramidnet"}


def count(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize(
    ("depth", "alpha", "bottleneck", "theirs", "millions"),
    [
        (110, 48, False, "pyramidnet110_a48_cifar10", None),
        (110, 84, False, "pyramidnet110_a84_cifar10", None),
        (110, 270, False, "pyramidnet110_a270_cifar10", 28.3),
        (164, 270, True, "pyramidnet164_a270_bn_cifar10", 27.0),
        (272, 200, True, "pyramidnet272_a200_bn_cifar10", 26.0),
    ],
)
def test_has_the_published_parameters(
    depth: int, alpha: float, bottleneck: bool, theirs: str, millions: float | None
) -> None:
    """pytorchcv's, and to 1 % the paper's of those above 4 M; its 26.0 M are exactly the weights without norms."""
    with torch.device("meta"):
        model = pyramidnet(10, 3, 32, depth, alpha, bottleneck)
        assert count(model) == count(getattr(theirs_pyramid, theirs)())
    if millions:
        assert count(model) / 1e6 == pytest.approx(millions, rel=0.01)
    if depth == 272:
        assert f"{sum(p.numel() for p in model.parameters() if p.ndim > 1) / 1e6:.1f}" == str(millions)


@pytest.mark.parametrize(("depth", "bottleneck"), [(14, False), (20, True)])
def test_computes_what_pytorchcv_computes(depth: int, bottleneck: bool, images: Images, scramble: Scramble) -> None:
    theirs = theirs_pyramid.get_pyramidnet_cifar(10, depth, 20, bottleneck)
    scramble(theirs)
    ours = pyramidnet(10, 3, 32, depth, 20, bottleneck)
    pairs = zip(ours.state_dict().items(), theirs.state_dict().values(), strict=True)
    ours.load_state_dict({name: value for (name, _), value in pairs})
    for training in (False, True):
        torch.testing.assert_close(ours.train(training)(images()), theirs.train(training)(images()))


def test_channels_grow_block_by_block() -> None:
    """Section 2.1 of the paper: 16 + k alpha/N, to whole channels."""
    with torch.device("meta"):
        model, half = (pyramidnet(10, 3, 32, 14, 10, width=width) for width in (1, 0.5))
    outs = [[b.get_parameter("branch.conv3.weight").shape[0] for b in residual_blocks(m)] for m in (model, half)]
    assert outs == [[18, 19, 21, 23, 24, 26], [17, 18, 19, 19, 20, 21]]


def test_the_shortcut_averages_and_pads(images: Images) -> None:
    with torch.device("meta"):
        block = residual_blocks(pyramidnet(10, 3, 32, 14, 12))[2]
    assert isinstance(block, PyramidBlock)
    x = images(channels=20, size=7)
    y = block.shortcut(x)
    assert y.shape == (4, 22, 4, 4)
    torch.testing.assert_close(y[:, :20, 0, 0], x[:, :, :2, :2].mean((2, 3)))
    torch.testing.assert_close(y[:, :20, 3, 3], x[:, :, 6, 6])
    assert not y[:, 20:].any()


def test_shake_drop_reaches_every_block_and_zero_gamma_every_branch(images: Images) -> None:
    model = pyramidnet(10, 3, 32, 14, 12, join=shake_drop().join)
    joins = [m for m in model.modules() if isinstance(m, ShakeDrop)]
    assert [j.survival for j in joins] == pytest.approx([1 - k / 12 for k in range(1, 7)])
    zero_gamma()(model, Key.root(0))
    block = residual_blocks(model)[1]
    x = images(channels=18, size=8)
    assert isinstance(block, PyramidBlock)
    assert torch.equal(block.eval()(x), block.shortcut(x))


@pytest.mark.parametrize("bottleneck", [False, True])
def test_drops_before_the_last_conv(bottleneck: bool) -> None:
    with torch.device("meta"):
        model = pyramidnet(10, 3, 32, 20, 9, bottleneck, join=lambda *_: Sum(), drop=lambda: nn.Dropout(0.25))
    order = [type(m) for m in residual_blocks(model)[0].get_submodule("branch").children()]
    last = [nn.Conv2d, nn.BatchNorm2d]
    step = [*last, nn.ReLU]
    assert order == [nn.BatchNorm2d, *step * (2 if bottleneck else 1), nn.Dropout, *last]


@pytest.mark.parametrize(("channels", "size", "classes", "stem"), [(1, 33, 100, "3x3/1"), (3, 64, 10, "7x7/2+maxpool")])
@pytest.mark.parametrize(("depth", "bottleneck", "features"), [(8, False, 22), (11, True, 88)])
def test_shapes(channels: int, size: int, classes: int, stem: str, depth: int, bottleneck: bool, features: int) -> None:
    with torch.device("meta"):
        model = pyramidnet(classes, channels, size, depth, 6, bottleneck, stem=stem)
        x = torch.zeros(2, channels, size, size)
    assert model.features(x).shape == (2, features)
    assert model(x).shape == (2, classes)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"depth": 111}, "model.depth: 111 is not 6n+2; nearest are 110 and 116"),
        ({"depth": 270, "bottleneck": True}, "model.depth: 270 is not 9n+2; nearest are 263 and 272"),
        ({"depth": 8, "bottleneck": True}, "model.depth: 8 is not 9n+2; the smallest is 11"),
        ({"alpha": -1}, "model.alpha: -1 is not a finite number from 0 up"),
        ({"width": -1}, "model.width: -1 is not a finite number from 0 up"),
        ({"slope": 0.1}, "model.slope: relu has none"),
        ({"bn_momentum": 0}, "model.bn_momentum: 0 is not in (0, 1]"),
        ({"stem": "5x5"}, "model.stem: there is no '5x5'"),
    ],
)
def test_refuses_with_the_way_out(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught, torch.device("meta"):
        build({**TARGET, **arguments}, "model", **CONTEXT)
    assert str(caught.value).startswith(message)


def test_refuses_branches_that_it_has_not() -> None:
    with pytest.raises(ValueError, match=r"^join: ShakeShake joins 2 branches, here is one"), torch.device("meta"):
        pyramidnet(10, 3, 32, 8, join=shake_shake().join)


def test_refuses_images_that_are_too_small() -> None:
    with pytest.raises(ValueError, match=r"^stem: 3x3/1 needs images of at least 4 px, these have 3"):
        pyramidnet(10, 3, 3)
