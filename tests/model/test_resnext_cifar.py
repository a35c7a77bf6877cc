from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from pytorchcv.models.resnext_cifar import CIFARResNeXt, resnext29_16x64d_cifar10
from torch import Tensor, nn

from ablation.build import build
from ablation.errors import ConfigError
from ablation.model.attention import SelectiveKernel
from ablation.model.bottleneck import PostBottleneck
from ablation.model.resnet_cifar import ResNetCifar
from ablation.model.resnext_cifar import resnext_cifar

Images = Callable[..., Tensor]
Scramble = Callable[[nn.Module], None]
CONTEXT = {"classes": 10, "channels": 3, "size": 32}
TARGET = {"_target_": "ablation.model.resnext_cifar.resnext_cifar"}
SMALL: dict[str, Any] = {"depth": 11, "cardinality": 2, "base_width": 8, "width": 0.25}
PAPER = "1611.05431, table 7"
TRICKS = "counted from the code of the CIFAR tricks README"


def count(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize(
    ("arguments", "millions", "source"),
    [
        ({"cardinality": 8}, 34.4, PAPER),
        ({"cardinality": 16}, 68.1, PAPER),
        ({"cardinality": 2}, 9.129, TRICKS),
        ({"attention": "ge"}, 36.33, TRICKS),
        ({"attention": "cbam", "cardinality": 16}, 68.7, TRICKS),
        ({"attention": "sk", "cardinality": 16, "base_width": 32}, 27.9, TRICKS),
        *[
            ({"depth": depth, "cardinality": 16, "base_width": 8, "spp": spp}, millions, TRICKS)
            for depth, sizes in ((11, (1.912, 4.0, 5.4)), (20, (3.489, 7.6, 10.4)), (29, (5.066, 11.3, 15.4)))
            for spp, millions in zip(([], [5], [3, 5, 7]), sizes, strict=True)
        ],
    ],
)
def test_has_the_published_parameters(arguments: dict[str, Any], millions: float, source: str) -> None:
    with torch.device("meta"):
        found = count(resnext_cifar(10, 3, 32, **arguments)) / 1e6
    assert found == pytest.approx(millions, rel=0.001 if millions in (1.912, 3.489, 5.066) else 0.01), source


def test_squeeze_and_excitation_adds_what_its_paper_says() -> None:
    """1709.01507, section 4: 2 / r times the sum of the blocks' squared channels, and here the biases."""
    with torch.device("meta"):
        more = count(resnext_cifar(10, 3, 32, attention="se")) - count(resnext_cifar(10, 3, 32))
    assert more == 3 * sum(2 * c * c // 16 + c + c // 16 for c in (256, 512, 1024))


def test_has_pytorchcvs_parameters() -> None:
    with torch.device("meta"):
        assert count(resnext_cifar(10, 3, 32, cardinality=16)) == count(resnext29_16x64d_cifar10())


@pytest.mark.parametrize("n", [1, 2])
def test_computes_what_pytorchcv_computes(n: int, images: Images, scramble: Scramble) -> None:
    theirs = CIFARResNeXt([[256] * n, [512] * n, [1024] * n], 64, cardinality=4, bottleneck_width=8)
    scramble(theirs)
    ours = resnext_cifar(10, 3, 32, depth=9 * n + 2, cardinality=4, base_width=8)
    pairs = zip(ours.state_dict().items(), theirs.state_dict().values(), strict=True)
    ours.load_state_dict({name: value for (name, _), value in pairs})
    for training in (False, True):
        torch.testing.assert_close(ours.train(training)(images(2)), theirs.train(training)(images(2)))


def by_hand(model: ResNetCifar, x: Tensor, spp: tuple[int, ...] = ()) -> Tensor:
    """The network from its weights, in functions; layers of attention, which have tests of their own, are called."""
    state = {name: value.clone() for name, value in model.state_dict().items()}

    def layer(x: Tensor, conv: str, norm: str, stride: int = 1, padding: int = 0, groups: int = 1) -> Tensor:
        y = F.conv2d(x, state[f"{conv}.weight"], None, stride, padding, 1, groups)
        mean, var, weight, bias = (state[f"{norm}.{n}"] for n in ("running_mean", "running_var", "weight", "bias"))
        return F.batch_norm(y, mean, var, weight, bias, training=model.training)

    def block(x: Tensor, name: str, stride: int) -> Tensor:
        branch = model.get_submodule(f"{name}.branch")
        y = F.relu(layer(x, f"{name}.branch.conv1", f"{name}.branch.norm1"))
        middle = branch.get_submodule("conv2")
        if isinstance(middle, SelectiveKernel):
            y = middle(y)
        else:
            at = f"{name}.branch.conv2", f"{name}.branch.norm2"
            y = F.relu(layer(y, *at, stride=stride, padding=1, groups=SMALL["cardinality"]))
        y = layer(y, f"{name}.branch.conv3", f"{name}.branch.norm3")
        y = branch.get_submodule("attend")(y) if hasattr(branch, "attend") else y
        if spp:
            y = F.silu(layer(y, f"{name}.branch.spp_conv1", f"{name}.branch.spp_norm1"))
            y = torch.cat([y, *(F.max_pool2d(y, k, 1, k // 2) for k in spp)], 1)
            y = F.silu(layer(y, f"{name}.branch.spp_conv2", f"{name}.branch.spp_norm2"))
        return F.relu(layer(x, f"{name}.shortcut.0", f"{name}.shortcut.1", stride=stride) + y)

    x = F.relu(layer(x, "stem.0", "stem.1", padding=1))
    for i, stride in enumerate((1, 2, 2)):
        x = block(x, f"blocks.{i}", stride)
    return F.linear(x.mean((2, 3)), state["head.weight"], state["head.bias"])


@pytest.mark.parametrize(
    ("attention", "spp"),
    [(None, ()), ("se", ()), ("cbam", ()), ("ge", ()), ("sk", ()), (None, (5,)), (None, (3, 5, 7)), ("se", (3,))],
)
def test_computes_the_papers_block(
    attention: str | None, spp: tuple[int, ...], images: Images, scramble: Scramble
) -> None:
    model = resnext_cifar(10, 3, 16, attention=attention, spp=list(spp), **SMALL)
    scramble(model)
    assert isinstance(model, ResNetCifar)
    kept = {name: value.clone() for name, value in model.state_dict().items()}
    for training in (True, False):
        expected = by_hand(model.train(training), images(2, size=16), spp)
        model.load_state_dict(kept)
        torch.testing.assert_close(model(images(2, size=16)), expected)
        model.load_state_dict(kept)


@pytest.mark.parametrize("attention", [None, "se", "cbam", "ge", "sk"])
@pytest.mark.parametrize(
    ("channels", "size", "classes", "stem"),
    [(1, 32, 10, "3x3/1"), (3, 64, 100, "3x3/2+maxpool"), (3, 27, 10, "3x3/1"), (3, 224, 1000, "7x7/2+maxpool")],
)
def test_shapes(attention: str | None, channels: int, size: int, classes: int, stem: str) -> None:
    with torch.device("meta"):
        model = resnext_cifar(classes, channels, size, attention=attention, spp=[3], stem=stem, **SMALL)
        x = torch.zeros(2, channels, size, size)
        assert model.features(x).shape == (2, 256)
        assert model(x).shape == (2, classes)


def test_gathers_from_maps_of_each_stages_size() -> None:
    with torch.device("meta"):
        model = resnext_cifar(10, 3, 32, attention="ge")
    sides = [m.weight.shape[-1] for name, m in model.named_modules() if name.endswith("gather.0")]
    assert sides == [32] * 3 + [16] * 3 + [8] * 3


@pytest.mark.parametrize("width", [0.5, 0.7071])
def test_width_multiplies_the_channels_not_the_groups(width: float) -> None:
    with torch.device("meta"):
        model = resnext_cifar(10, 3, 32, width=width, cardinality=4)
    blocks = [m for m in model.modules() if isinstance(m, PostBottleneck)]
    middles = [block.branch.get_submodule("conv2") for block in blocks]
    assert {m.groups for m in middles if isinstance(m, nn.Conv2d)} == {4}
    assert [m.out_channels for m in middles if isinstance(m, nn.Conv2d)][::3] == [
        4 * round(64 * 2**stage * width) for stage in range(3)
    ]
    assert model.head.get_parameter("weight").shape == (10, round(1024 * width))


def test_every_branch_ends_in_what_is_asked_for_and_all_reach_the_join(images: Images) -> None:
    asked: list[tuple[int, int]] = []

    class Three(nn.Module):
        branches = 3

        def forward(self, shortcut: Tensor, *branches: Tensor) -> Tensor:
            assert len(branches) == 3
            return shortcut + branches[0]

    def join(block: int, blocks: int) -> nn.Module:
        asked.append((block, blocks))
        return Three()

    noise: dict[str, Any] = {"join": join, "drop": lambda: nn.Dropout(0.25)}
    model = resnext_cifar(10, 3, 16, attention="se", spp=[3], branches=3, **SMALL, **noise)
    assert asked == [(1, 3), (2, 3), (3, 3)]
    assert model(images(2, size=16)).shape == (2, 10)
    for place in ("branch", "beside.0", "beside.1"):
        names = [name for name, _ in model.get_submodule(f"blocks.1.{place}").named_children()]
        assert names[6:12] == ["drop", "conv3", "norm3", "attend", "spp_conv1", "spp_norm1"]


def test_selective_kernels_stand_in_place_of_convolution_norm_and_activation() -> None:
    model = resnext_cifar(10, 3, 16, attention="sk", act="silu", **SMALL)
    names = [name for name, _ in model.get_submodule("blocks.1.branch").named_children()]
    assert names == ["conv1", "norm1", "act1", "conv2", "conv3", "norm3"]
    assert sum(isinstance(m, nn.SiLU) for m in model.get_submodule("blocks.1.branch.conv2").modules()) == 2


def test_momentum_reaches_every_norm() -> None:
    for attention in (None, "se", "cbam", "ge", "sk"):
        model = resnext_cifar(10, 3, 16, attention=attention, spp=[3], bn_momentum=0.01, **SMALL)
        assert {m.momentum for m in model.modules() if isinstance(m, nn.BatchNorm2d)} == {0.01}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"depth": 28}, "model.depth: 28 is not 9n+2; nearest are 20 and 29"),
        ({"depth": 10}, "model.depth: 10 is not 9n+2; the smallest is 11"),
        ({"cardinality": 0}, "model.cardinality: 0 is less than one group"),
        ({"base_width": 0}, "model.base_width: 0 leaves a group no channel; use at least 1"),
        ({"width": 0.001}, "model.width: 0.001 leaves no channel; use at least 0.015625"),
        ({"attention": "sks"}, "model.attention: there is no 'sks'; did you mean sk"),
        ({"spp": [2]}, "model.spp: 2 is not the side of a window around a pixel; give different odd numbers"),
        ({"stem": "3x3"}, "model.stem: there is no '3x3'; did you mean 3x3/2 or 3x3/1"),
        ({"shortcut": "A"}, "model.shortcut: there is no 'A'"),
        ({"act": "rely"}, "model.act: there is no 'rely'; did you mean relu"),
        ({"bn_momentum": 0.0}, "model.bn_momentum: 0.0 is not in (0, 1]"),
        ({"branches": 0}, "model.branches: 0 is less than one"),
    ],
)
def test_refuses_with_the_way_out(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught, torch.device("meta"):
        build({**TARGET, **arguments}, "model", **CONTEXT)
    assert str(caught.value).startswith(message)


def test_refuses_images_too_small_for_the_stem() -> None:
    assert resnext_cifar(10, 3, 4, attention="ge", **SMALL)(torch.zeros(2, 3, 4, 4)).shape == (2, 10)
    with pytest.raises(ValueError, match=r"^stem: 3x3/1 needs images of at least 4 px, these have 3"):
        resnext_cifar(10, 3, 3, **SMALL)
