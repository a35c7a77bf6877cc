from collections.abc import Callable

import pytest
import pytorchcv.models.preresnet_cifar as theirs_v2
import pytorchcv.models.resnet_cifar as theirs_v1
import torch
from torch import Tensor, nn

from ablation.build import build
from ablation.errors import ConfigError
from ablation.model.block import PreBlock, Sum
from ablation.model.resnet_cifar import ResNetCifar, resnet_cifar

Images = Callable[..., Tensor]
CONTEXT = {"classes": 10, "channels": 3, "size": 32}
TARGET = {"_target_": "ablation.model.resnet_cifar.resnet_cifar"}


def count(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize(
    ("depth", "millions"), [(20, "0.27"), (32, "0.46"), (44, "0.66"), (56, "0.85"), (110, "1.73")]
)  # table 6 of the paper, which prints 1.7
@pytest.mark.parametrize("preact", [False, True])
def test_has_the_papers_parameters(depth: int, millions: str, preact: bool) -> None:
    with torch.device("meta"):
        assert f"{count(resnet_cifar(10, 3, 32, depth=depth, preact=preact)) / 1e6:.2f}" == millions


@pytest.mark.parametrize("depth", [20, 56, 110])
@pytest.mark.parametrize("preact", [False, True])
def test_has_pytorchcvs_parameters_with_its_shortcut(depth: int, preact: bool) -> None:
    name = f"{'pre' if preact else ''}resnet{depth}_cifar10"
    theirs = getattr(theirs_v2 if preact else theirs_v1, name)()
    assert count(resnet_cifar(10, 3, 32, depth=depth, preact=preact, shortcut="1x1")) == count(theirs)


@pytest.mark.parametrize("preact", [False, True])
def test_computes_what_pytorchcv_computes(preact: bool, images: Images, scramble: Callable[[nn.Module], None]) -> None:
    theirs = theirs_v2.preresnet20_cifar10() if preact else theirs_v1.resnet20_cifar10()
    scramble(theirs)
    ours = resnet_cifar(10, 3, 32, preact=preact, shortcut="1x1")
    pairs = zip(ours.state_dict().items(), theirs.state_dict().values(), strict=True)
    ours.load_state_dict({name: value for (name, _), value in pairs})
    if preact:  # its very first block has a bare shortcut, where the authors' own code has an activated one
        assert isinstance(ours, ResNetCifar)
        first = ours.blocks[0]
        assert isinstance(first, PreBlock)
        first.start = False
    for training in (False, True):
        torch.testing.assert_close(ours.train(training)(images()), theirs.train(training)(images()))


def test_pads_with_zeros_and_every_second_pixel(images: Images) -> None:
    model = resnet_cifar(10, 3, 32, depth=8)
    assert isinstance(model, ResNetCifar)
    x = images(channels=16)
    y = model.blocks[1].get_submodule("shortcut")(x)
    assert torch.equal(y[:, :16], x[:, :, ::2, ::2])
    assert y.shape == (4, 32, 16, 16)
    assert not y[:, 16:].any()


@pytest.mark.parametrize("stem", ["3x3/1", "3x3/2", "3x3/2+maxpool", "7x7/2", "7x7/2+maxpool"])
@pytest.mark.parametrize("preact", [False, True])
@pytest.mark.parametrize(("channels", "size", "classes"), [(1, 32, 10), (3, 64, 100)])
def test_shapes(stem: str, preact: bool, channels: int, size: int, classes: int, images: Images) -> None:
    model = resnet_cifar(classes, channels, size, depth=8, width=0.5, preact=preact, stem=stem)
    x = images(2, channels, size)
    assert model.features(x).shape == (2, 32)
    assert model(x).shape == (2, classes)
    assert torch.equal(model.eval()(x), model.head(model.features(x)))


@pytest.mark.parametrize(
    ("stem", "smallest"), [("3x3/1", 4), ("3x3/2", 8), ("3x3/2+maxpool", 16), ("7x7/2", 8), ("7x7/2+maxpool", 16)]
)
def test_refuses_images_too_small_for_the_stem(stem: str, smallest: int, images: Images) -> None:
    model = resnet_cifar(10, 3, smallest, depth=8, stem=stem)
    assert isinstance(model, ResNetCifar)
    assert model.blocks(model.stem(images(2, 3, smallest))).shape == (2, 64, 1, 1)
    with pytest.raises(ValueError, match=rf"^stem: .* needs images of at least {smallest} px, these have"):
        resnet_cifar(10, 3, smallest - 1, depth=8, stem=stem)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"depth": 21}, "model.depth: 21 is not 6n+2; nearest are 20 and 26"),
        ({"depth": 7}, "model.depth: 7 is not 6n+2; the smallest is 8"),
        ({"width": 0.01}, "model.width: 0.01 leaves no channel; use at least 0.0625"),
        ({"stem": "3x3"}, "model.stem: there is no '3x3'; did you mean 3x3/2 or 3x3/1"),
        ({"shortcut": "A"}, "model.shortcut: there is no 'A'; valid: 1x1, 3x3, avg, pad"),
        ({"act": "rely"}, "model.act: there is no 'rely'; did you mean relu"),
        ({"slope": 0.1}, "model.slope: relu has none; leave it null or choose act=leaky_relu"),
        ({"bn_momentum": 0.0}, "model.bn_momentum: 0.0 is not in (0, 1]"),
    ],
)
def test_refuses_with_the_way_out(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build({**TARGET, **arguments}, "model", **CONTEXT)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("act", "slope", "kind"), [("relu", None, nn.ReLU), ("silu", None, nn.SiLU), ("leaky_relu", 0.2, nn.LeakyReLU)]
)
@pytest.mark.parametrize("preact", [False, True])
def test_activation_is_used_everywhere(act: str, slope: float | None, kind: type[nn.Module], preact: bool) -> None:
    model = resnet_cifar(10, 3, 32, act=act, slope=slope, preact=preact)
    acts = [m for m in model.modules() if isinstance(m, nn.ReLU | nn.SiLU | nn.LeakyReLU)]
    assert len(acts) == 19  # all layers but the last, which is linear
    assert all(type(m) is kind for m in acts)
    assert all(m.negative_slope == slope for m in acts if isinstance(m, nn.LeakyReLU))


@pytest.mark.parametrize("width", [0.5, 1, 2.0])
def test_width_multiplies_the_channels(width: float) -> None:
    model = resnet_cifar(10, 3, 32, depth=8, width=width)
    convs = [m.out_channels for m in model.modules() if isinstance(m, nn.Conv2d)]
    assert convs == [round(width * c) for c in (16, 16, 16, 32, 32, 64, 64)]


def test_bn_momentum_is_the_share_of_the_new_batch(images: Images) -> None:
    model = resnet_cifar(10, 3, 32, depth=8, bn_momentum=0.01)
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    assert {m.momentum for m in norms} == {0.01}
    assert isinstance(model, ResNetCifar)
    conv, norm = model.stem[0], norms[0]  # type: ignore[index]
    model(images())
    torch.testing.assert_close(norm.running_mean, 0.01 * conv(images()).mean((0, 2, 3)))


@pytest.mark.parametrize("preact", [False, True])
def test_blocks_are_numbered_from_one_and_drop_before_the_last_conv(preact: bool) -> None:
    asked: list[tuple[int, int]] = []

    def join(block: int, blocks: int) -> nn.Module:
        asked.append((block, blocks))
        return Sum()

    model = resnet_cifar(10, 3, 32, depth=14, preact=preact, join=join, drop=lambda: nn.Dropout(0.25))
    assert asked == [(i, 6) for i in range(1, 7)]
    order = [type(m) for m in model.get_submodule("blocks.0.branch").children()]
    v1 = [nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.Dropout, nn.Conv2d, nn.BatchNorm2d]
    assert order == (v1[:-1] if preact else v1)


@pytest.mark.parametrize("shortcut", ["pad", "1x1", "3x3"])
def test_convolutional_shortcuts_have_a_norm_in_v1_only(shortcut: str) -> None:
    kinds = {
        preact: [type(m) for m in resnet_cifar(10, 3, 32, preact=preact, shortcut=shortcut).modules()]
        for preact in (False, True)
    }
    more = 0 if shortcut == "pad" else 2
    assert kinds[False].count(nn.Conv2d) == kinds[True].count(nn.Conv2d) == 19 + more
    assert kinds[False].count(nn.BatchNorm2d) == 19 + more
    assert kinds[True].count(nn.BatchNorm2d) == 19


@pytest.mark.parametrize("preact", [False, True])
def test_branches_side_by_side_all_reach_the_join_and_share_the_shortcut(preact: bool, images: Images) -> None:
    """With the same weights in both, the sum of two branches is one branch twice."""
    torch.manual_seed(0)
    one, two = (resnet_cifar(10, 3, 32, depth=8, preact=preact, branches=n).eval() for n in (1, 2))
    single = one.state_dict()
    assert not any("beside" in name for name in single)
    added = {name: single[name.replace("beside.0", "branch")] for name in two.state_dict()}
    two.load_state_dict(added)
    twice = resnet_cifar(10, 3, 32, depth=8, preact=preact, join=lambda *_: Twice()).eval()
    twice.load_state_dict(single)
    torch.testing.assert_close(two(images()), twice(images()))
    assert count(two) - count(one) == sum(p.numel() for n, p in one.named_parameters() if ".branch." in n)


class Twice(nn.Module):
    def forward(self, shortcut: Tensor, branch: Tensor) -> Tensor:
        return shortcut + branch + branch


class Three(Sum):
    branches = 3


def test_a_join_says_how_many_branches_it_takes() -> None:
    assert resnet_cifar(10, 3, 32, depth=8, branches=3, join=lambda *_: Three()) is not None
    with pytest.raises(ConfigError, match=r"^model.branches: Three joins 3 branches, here are 2; set model.branches=3"):
        build({**TARGET, "branches": 2}, "model", **CONTEXT, join=lambda *_: Three())
    with pytest.raises(ConfigError, match=r"^model.branches: 0 is less than one"):
        build({**TARGET, "branches": 0}, "model", **CONTEXT)


@pytest.mark.parametrize("preact", [False, True])
def test_norm_on_the_image_is_that_and_renames_nothing(preact: bool, images: Images) -> None:
    plain, normed = (resnet_cifar(10, 1, 32, depth=8, preact=preact, image_norm=on) for on in (False, True))
    missing, unexpected = normed.load_state_dict(plain.state_dict(), strict=False)
    assert not unexpected
    assert {name.split(".")[0] for name in missing} == {"image_norm"}
    x = images(channels=1) * 3 + 2
    torch.testing.assert_close(normed(x), plain(nn.functional.batch_norm(x, None, None, training=True)))
