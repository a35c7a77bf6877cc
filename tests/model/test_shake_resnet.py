from collections.abc import Callable
from itertools import chain

import pytest
import pytorchcv.models.shakeshakeresnet_cifar as theirs_shake
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ablation.build import build
from ablation.errors import ConfigError
from ablation.key import Key
from ablation.model.block import Branch, residual_blocks
from ablation.model.shake_resnet import ShakeBlock, Shifted, shake_resnet
from ablation.regularizer.shake_drop import ShakeDrop, shake_drop
from ablation.regularizer.shake_shake import ShakeShake, shake_shake
from ablation.types import Model, Noisy

Images = Callable[..., Tensor]
Scramble = Callable[[nn.Module], None]
CONTEXT = {"classes": 10, "channels": 3, "size": 32}
TARGET = {"_target_": "ablation.model.shake_resnet.shake_resnet"}
UNUSED = {32: 65856, 64: 260736}  # the shortcuts, with their norms, that the published code builds where x is carried


def count(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize(("width", "millions"), [(32, "2.9"), (64, "11.7"), (96, "26.2"), (112, "35.6")])
def test_has_the_published_parameters(width: int, millions: str) -> None:
    """And pytorchcv's, whose constructor takes any width. The paper's best, 2x96d, has 26.2 M."""
    with torch.device("meta"):
        ours = count(shake_resnet(10, 3, 32, width=width))
        assert ours == count(theirs_shake.get_shakeshakeresnet_cifar(10, 26, False, width))
    assert f"{ours / 1e6:.1f}" == millions


@pytest.mark.parametrize(("width", "millions"), [(32, "2.989"), (64, "11.915")])
def test_has_the_published_rows_parameters_but_for_what_these_do_not_use(width: int, millions: str) -> None:
    """CIFAR tricks README, counted from its code, whose stem has a bias besides."""
    with torch.device("meta"):
        model = shake_resnet(10, 3, 32, width=width)
    stage = [(3, width), (3, 2 * width), (3, 4 * width)]  # blocks after the first, channels in and out
    assert sum(n * (c * c + 2 * c) for n, c in stage) == UNUSED[width]
    assert f"{(count(model) + UNUSED[width] + 16) / 1e6:.3f}" == millions


def copied(depth: int, width: int, scramble: Scramble) -> tuple[Model, nn.Module]:
    theirs = theirs_shake.get_shakeshakeresnet_cifar(10, depth, False, width)
    scramble(theirs)
    ours = shake_resnet(10, 3, 32, depth, width)
    pairs = zip(ours.state_dict().items(), theirs.state_dict().values(), strict=True)
    ours.load_state_dict({name: value for (name, _), value in pairs})
    return ours, theirs


class Carried(nn.Module):
    """Theirs carries act(x) past the branches where the shape stays, where the paper's code carries x."""

    def forward(self, x: Tensor) -> Tensor:
        return x.relu()


@pytest.mark.parametrize("depth", [8, 14])
def test_computes_what_pytorchcv_computes(
    depth: int, images: Images, scramble: Scramble, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In evaluation, and in training, outputs and gradients, with the very shares that ours draws.

    With depth 8 every block has a new shape and the networks are one; else ours is made to carry what theirs does.
    """
    ours, theirs = copied(depth, 4, scramble)
    joins = [m for m in ours.modules() if isinstance(m, ShakeShake)]
    assert len(joins) == (depth - 2) // 2
    for block in residual_blocks(ours):
        assert isinstance(block, ShakeBlock)
        block.shortcut = block.shortcut or Carried()  # type: ignore[assignment]
    if depth > 8:
        activate_first(ours)
    torch.testing.assert_close(ours.eval()(images()), theirs.eval()(images()))

    for i, join in enumerate(joins):
        join.word = Key.root(i).word
    shares = [join.key.fold("forward").uniform(4, 1, 1, 1).flatten() for join in joins]
    back = [join.key.fold("backward").uniform(4, 1, 1, 1).flatten() for join in reversed(joins)]
    drawn = chain(shares, back)
    monkeypatch.setattr(torch, "rand", lambda *_, **__: next(drawn))
    outputs = [model.train()(images()) for model in (ours, theirs)]
    torch.testing.assert_close(*outputs)
    for out in reversed(outputs):
        out.square().sum().backward()
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, other.grad, rtol=1e-4, atol=1e-4)
    assert next(drawn, None) is None


def activate_first(model: Model) -> None:
    """Shortcuts of blocks that keep the shape are given x, not act(x), unless told."""
    for block in residual_blocks(model):
        assert isinstance(block, ShakeBlock)
        if isinstance(block.shortcut, Carried):
            block.register_forward_pre_hook(lambda _, args: (args[0].relu(),))


def normed(x: Tensor, norm: nn.Module) -> Tensor:
    p = norm.state_dict()
    return F.batch_norm(x, p["running_mean"], p["running_var"], p["weight"], p["bias"])


@pytest.mark.parametrize(("number", "inside", "stride"), [(0, 16, 1), (1, 4, 1), (2, 4, 2)])
def test_a_block_is_the_papers(number: int, inside: int, stride: int, images: Images, scramble: Scramble) -> None:
    model = shake_resnet(10, 3, 32, 14, 4).eval()
    scramble(model)
    block, x = residual_blocks(model)[number], images(channels=inside, size=8)
    assert isinstance(block, ShakeBlock)
    active = x.relu()

    def branch(layers: Branch) -> Tensor:
        p = {name: layer for name, layer in layers.named_children()}
        h = F.conv2d(active, p["conv1"].get_parameter("weight"), stride=stride, padding=1)
        h = F.conv2d(normed(h, p["norm1"]).relu(), p["conv2"].get_parameter("weight"), padding=1)
        return normed(h, p["norm2"])

    carried = x
    if number != 1:
        shortcut = block.shortcut
        assert isinstance(shortcut, Shifted)
        moved = torch.zeros_like(active)
        moved[:, :, 1:, 1:] = active[:, :, :-1, :-1]  # by one pixel to the right and one down
        here, there = active[:, :, ::stride, ::stride], moved[:, :, ::stride, ::stride]
        halves = [F.conv2d(here, shortcut.here.weight), F.conv2d(there, shortcut.there.weight)]
        carried = normed(torch.cat(halves, 1), shortcut.norm)
    torch.testing.assert_close(block(x), carried + (branch(block.first) + branch(block.second)) / 2)


def test_without_a_regularizer_it_is_the_papers_shake_shake(images: Images) -> None:
    def net(**arguments: object) -> Model:
        torch.manual_seed(0)
        model: Model = build({**TARGET, "depth": 8, "width": 4}, "model", **CONTEXT, **arguments)
        for name, module in model.named_modules():
            if isinstance(module, Noisy):
                module.word = Key.root(1).fold(name).word
        return model

    own, given = net(), net(join=shake_shake().join)
    assert torch.equal(own(images()), given(images()))
    other = net(join=shake_shake(level="batch").join)
    assert not torch.equal(own(images()), other(images()))


def test_other_regularizers_take_both_branches_together() -> None:
    asked: list[tuple[int, int]] = []
    make = shake_drop().join
    assert make is not None

    def join(block: int, blocks: int) -> nn.Module:
        asked.append((block, blocks))
        return make(block, blocks)

    with torch.device("meta"):
        model = shake_resnet(10, 3, 32, 14, 4, join=join, drop=lambda: nn.Dropout(0.25))
    assert asked == [(i, 6) for i in range(1, 7)]
    assert [type(m) for m in model.modules() if isinstance(m, Noisy)] == [ShakeDrop] * 6
    branches = [m for m in model.modules() if isinstance(m, Branch)]
    assert len(branches) == 12
    assert [type(m) for m in branches[0]][2:5] == [nn.ReLU, nn.Dropout, nn.Conv2d]


@pytest.mark.parametrize(("channels", "size", "classes", "stem"), [(1, 33, 100, "3x3/1"), (3, 64, 10, "7x7/2+maxpool")])
@pytest.mark.parametrize("width", [4, 32 / 2**0.5])
def test_shapes(channels: int, size: int, classes: int, stem: str, width: float) -> None:
    with torch.device("meta"):
        model = shake_resnet(classes, channels, size, 8, width, stem)
        x = torch.zeros(2, channels, size, size)
    assert model.features(x).shape == (2, round(4 * width))
    assert model(x).shape == (2, classes)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"depth": 28}, "model.depth: 28 is not 6n+2; nearest are 26 and 32"),
        ({"width": 1}, "model.width: 1 leaves no channel for the halves of a shortcut; use at least 2"),
        ({"slope": 0.1}, "model.slope: relu has none"),
        ({"act": "rely"}, "model.act: there is no 'rely'"),
        ({"bn_momentum": 2}, "model.bn_momentum: 2 is not in (0, 1]"),
        ({"stem": "5x5"}, "model.stem: there is no '5x5'"),
    ],
)
def test_refuses_with_the_way_out(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught, torch.device("meta"):
        build({**TARGET, **arguments}, "model", **CONTEXT)
    assert str(caught.value).startswith(message)


def test_refuses_images_that_are_too_small() -> None:
    with pytest.raises(ValueError, match=r"^stem: 3x3/1 needs images of at least 4 px, these have 3"):
        shake_resnet(10, 3, 3)
