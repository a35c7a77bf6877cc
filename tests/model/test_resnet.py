"""The family of ImageNet's ResNets, against torchvision's and timm's with the same weights."""

from collections.abc import Callable
from typing import Any

import pytest
import timm
import torch
import torchvision.models as library
from networks import network
from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck

from ablation.model.block import PreBlock, Sum, residual_blocks
from ablation.model.resnet import resnet
from ablation.regularizer.dropout import Dropout

Images = Callable[..., Tensor]
Same = Callable[..., None]


def slow(*values: str) -> Any:
    return pytest.param(*values, marks=pytest.mark.slow)


def on_meta(make: Callable[..., Any], **arguments: Any) -> Any:
    with torch.device("meta"):
        return make(**arguments)


def timms(name: str) -> Any:
    return on_meta(timm.create_model, model_name=name, num_classes=10)


def small_stem(theirs: Any) -> Any:
    """Their network, with the stem that is usual for CIFAR."""
    theirs.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
    theirs.maxpool = nn.Identity()
    return theirs


@pytest.fixture
def same(images: Images) -> Same:
    """Both compute the same; their layers of weights come in the order of ours, or in that of `order`."""

    def check(ours: nn.Module, theirs: nn.Module, size: int = 32, order: Callable[[str], Any] | None = None) -> None:
        shapes = {name: w.shape for name, w in theirs.state_dict().items()}
        names = sorted(shapes, key=order) if order else list(shapes)
        for module in ours.modules():
            if isinstance(module, nn.BatchNorm2d):  # else a gamma that is forgotten would not show
                nn.init.uniform_(module.weight, 0.5, 1)
                nn.init.uniform_(module.bias, -0.5, 0.5)
        pairs = zip(names, ours.state_dict().values(), strict=True)
        theirs.load_state_dict({name: w.clone().reshape(shapes[name]) for name, w in pairs}, assign=True)
        for training in (True, False):
            x = images(2, 3, size)
            torch.testing.assert_close(ours.train(training)(x), theirs.train(training)(x), rtol=1e-3, atol=1e-3)

    return check


@pytest.mark.parametrize("option", ["resnet18", "resnet34", "resnet50", slow("resnet101"), slow("resnet152")])
def test_computes_what_torchvision_computes(option: str, same: Same) -> None:
    theirs = on_meta(lambda: small_stem(getattr(library, option)(num_classes=10)))
    same(network(option, size=16), theirs, size=16)


@pytest.mark.parametrize(
    ("option", "theirs"), [("resnet34", "resnet34"), ("resnet50b", "resnet50"), ("resnext50", "resnext50_32x4d")]
)
def test_is_torchvisions_for_imagenet(option: str, theirs: str, same: Same) -> None:
    same(network(option, stem="7x7/2+maxpool"), on_meta(getattr(library, theirs), num_classes=10))


def test_a_is_b_with_the_stride_at_the_first_convolution(same: Same) -> None:
    theirs = on_meta(library.resnet50, num_classes=10)
    for module in theirs.modules():
        if isinstance(module, Bottleneck):
            module.conv1.stride, module.conv2.stride = module.conv2.stride, (1, 1)
    same(network("resnet50a"), theirs)


@pytest.mark.parametrize(
    ("option", "theirs"),
    [
        ("resnet50c", "resnet50c"),
        ("resnet50d", "resnet50d"),
        ("se_resnet50", "seresnet50"),
        slow("se_resnext50", "seresnext50_32x4d"),
    ],
)
def test_is_timms_for_imagenet(option: str, theirs: str, same: Same) -> None:
    """At 40 px some maps have odd sides."""
    same(network(option, size=40), timms(theirs), size=40)


def by_branch(name: str) -> tuple[int, ...]:
    """Sorts timm's names of a v2 network as ours: the shortcut after the branch, the last norm after the blocks."""
    path = name.split(".")
    top = {"stem": 0, "stages": 1, "norm": 2, "head": 3}[path[0]]
    if top != 1:
        return (top,)
    layer = {"norm1": 0, "conv1": 1, "norm2": 2, "conv2": 3, "norm3": 4, "conv3": 5, "downsample": 6}[path[4]]
    return (top, int(path[1]), int(path[3]), layer)


def pre(option: str, **changed: Any) -> nn.Module:
    """Ours, with the first shortcut bare, as timm has it; the authors' own code begins with an activated one."""
    model = network(option, preact=True, stem="7x7/2+maxpool", **changed)
    first = residual_blocks(model)[0]
    if isinstance(first, PreBlock):
        first.start = False
    return model


@pytest.mark.parametrize("depth", [18, 50])
def test_v2_is_timms(depth: int, same: Same) -> None:
    same(pre("preact_resnet18", depth=depth), timms(f"resnetv2_{depth}"), order=by_branch)


class Squeezed(nn.Module):
    """A convolution and squeeze-and-excitation by its formula."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        n = conv.out_channels
        self.conv = conv
        self.w1, self.b1 = nn.Parameter(torch.empty(n // 16, n, 1, 1)), nn.Parameter(torch.empty(n // 16))
        self.w2, self.b2 = nn.Parameter(torch.empty(n, n // 16, 1, 1)), nn.Parameter(torch.empty(n))

    def forward(self, x: Tensor) -> Tensor:
        maps: Tensor = self.conv(x)
        hidden = (maps.mean((2, 3)) @ self.w1.flatten(1).T + self.b1).relu()
        return torch.einsum("nchw,nc->nchw", maps, (hidden @ self.w2.flatten(1).T + self.b2).sigmoid())


def test_senet_squeezes_what_ends_each_branch_of_v2(same: Same) -> None:
    theirs = timms("resnetv2_18")
    with torch.device("meta"):
        for stage in theirs.stages:
            for block in stage.blocks:
                block.conv2 = Squeezed(block.conv2)
    order = ["conv.weight", "w1", "b1", "w2", "b2"]

    def place(name: str) -> tuple[int, ...]:
        inner = name.partition(".conv2.")[2]
        return (*by_branch(name), order.index(inner) if inner else 0)

    same(pre("senet18"), theirs, order=place)


def test_starts_as_torchvision_starts() -> None:
    theirs = library.resnet18(num_classes=10).state_dict()
    ours = network("resnet18", stem="7x7/2+maxpool").state_dict()
    for (name, weight), own in zip(theirs.items(), ours.values(), strict=True):
        if weight.ndim == 4:
            torch.testing.assert_close(own.std(), weight.std(), rtol=0.05, atol=0)
        elif "bn" in name or "downsample.1" in name:
            assert torch.equal(own, weight), name  # gamma is 1 everywhere: not zero_gamma unasked


@pytest.mark.parametrize(
    ("stem", "side"),
    [
        ("3x3/1", 8),
        ("3x3/2", 4),
        ("3x3/2+maxpool", 2),
        ("7x7/2", 4),
        ("deep/1", 8),
        ("deep/2", 4),
        ("deep/2+maxpool", 2),
    ],
)
def test_stems(stem: str, side: int) -> None:
    with torch.device("meta"):
        model: Any = resnet(10, 1, 64, width=0.5, stem=stem, bn_momentum=0.05)
        x = torch.zeros(2, 1, 64, 64)
        assert model.blocks(model.stem(x)).shape == (2, 256, side, side)
        assert {m.momentum for m in model.modules() if isinstance(m, nn.BatchNorm2d)} == {0.05}


def test_imagenets_on_its_own_images() -> None:
    with torch.device("meta"):
        model = network("resnet50d", 1000, size=224)
        assert model(torch.zeros(2, 3, 224, 224)).shape == (2, 1000)
        sides: list[int] = []
        for block in residual_blocks(model):
            block.register_forward_hook(lambda _, __, out: sides.append(out.shape[-1]))
        model.features(torch.zeros(2, 3, 224, 224))
    assert sides == [56] * 3 + [28] * 4 + [14] * 6 + [7] * 3


@pytest.mark.parametrize("size", [32, 40])
@pytest.mark.parametrize("preact", [False, True])
@pytest.mark.parametrize("depth", [18, 50])
def test_attention_is_told_the_side_of_its_maps(depth: int, preact: bool, size: int, images: Images) -> None:
    """Gather-excite's kernel is its map, and refuses any other."""
    model = resnet(10, 3, size, depth, 0.25, preact, "7x7/2", attention="ge")
    assert model(images(2, 3, size)).shape == (2, 10)


@pytest.mark.parametrize("preact", [False, True])
@pytest.mark.parametrize(("depth", "blocks"), [(18, 8), (50, 16)])
def test_noise_has_its_places(depth: int, blocks: int, preact: bool) -> None:
    asked: list[tuple[int, int]] = []

    def join(block: int, of: int) -> nn.Module:
        asked.append((block, of))
        return Sum()

    with torch.device("meta"):
        model = resnet(10, 3, 32, depth, preact=preact, branches=2, join=join, drop=lambda: Dropout(0.5))
    assert asked == [(block, blocks) for block in range(1, blocks + 1)]
    drops = [name for name, m in model.named_modules() if isinstance(m, Dropout)]
    assert len(drops) == 2 * blocks
    names = list(dict(model.named_modules()))
    last = "conv2" if depth == 18 else "conv3"
    assert all(names[names.index(name) + 1] == name.replace("drop", last) for name in drops)


@pytest.mark.parametrize("depth", [18, 50])
@pytest.mark.parametrize("preact", [False, True])
def test_activation_is_used_everywhere(depth: int, preact: bool) -> None:
    model = on_meta(resnet, classes=10, channels=3, size=32, depth=depth, preact=preact, act="leaky_relu", slope=0.2)
    acts = [m for m in model.modules() if isinstance(m, nn.ReLU | nn.LeakyReLU)]
    assert len(acts) == depth - 1
    assert all(isinstance(m, nn.LeakyReLU) and m.negative_slope == 0.2 for m in acts)


def test_width_multiplies_the_channels() -> None:
    def widths(width: float, depth: int) -> list[int]:
        model = on_meta(resnet, classes=10, channels=3, size=32, depth=depth, width=width, stem="deep/1")
        return [m.out_channels for m in model.modules() if isinstance(m, nn.Conv2d)]

    for depth in (18, 50):
        assert [2 * n for n in widths(0.5, depth)] == widths(1, depth)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"depth": 20}, r"depth: there is no ResNet-20; valid: 18, 34, 50, 101, 152; model=resnet_cifar has"),
        ({"width": 0.001}, r"width: 0.001 leaves no channel; use at least 0.015625"),
        ({"groups": 0, "depth": 50}, r"groups: 0 is less than one"),
        ({"groups": 32}, r"groups: is for bottlenecks; leave it 1, or take depth=50"),
        ({"group_width": 4}, r"group_width: is for bottlenecks; leave it 64"),
        ({"stride_first": True}, r"stride_first: is for bottlenecks v1"),
        ({"stride_first": True, "depth": 50, "preact": True}, r"stride_first: .* preact=false"),
        ({"shortcut": "2x2"}, r"shortcut: there is no '2x2'"),
        ({"act": "rely"}, r"act: there is no 'rely'; did you mean relu"),
        ({"attention": "sea"}, r"attention: there is no 'sea'; did you mean se"),
        ({"bn_momentum": 2}, r"bn_momentum: 2 is not in"),
        ({"size": 28, "stem": "7x7/2+maxpool"}, r"stem: 7x7/2\+maxpool needs images of at least 32 px, these have 28"),
    ],
)
def test_refuses(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=f"^{said}"):
        on_meta(resnet, **{"classes": 10, "channels": 3, "size": 32} | arguments)
