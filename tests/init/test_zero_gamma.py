import pytest
import torch
import torchvision.models as library
from tiny import config
from torch import Tensor, nn

from ablation.errors import ConfigError
from ablation.init.zero_gamma import zero_gamma
from ablation.key import Key
from ablation.model.resnet import resnet
from ablation.model.resnet_cifar import ResNetCifar, resnet_cifar
from ablation.trial.parts import parts

KEY = Key.root(0)


def net(preact: bool, shortcut: str = "pad") -> ResNetCifar:
    model = resnet_cifar(10, 3, 16, depth=14, preact=preact, shortcut=shortcut)
    assert isinstance(model, ResNetCifar)
    return model


def images() -> Tensor:
    return torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("shortcut", ["pad", "1x1", "3x3"])
@pytest.mark.parametrize(("preact", "where"), [(False, "last_conv"), (True, "last_conv"), (True, "norm")])
def test_every_block_starts_as_its_shortcut(preact: bool, where: str, shortcut: str) -> None:
    model = net(preact, shortcut)
    zero_gamma(where)(model, KEY)
    x = model.stem(images())
    for block in model.blocks:
        active = block.get_submodule("pre")(x) if preact and block.start else x
        carried = block.get_submodule("shortcut")(active)
        x = block(x)
        torch.testing.assert_close(x, carried if preact else carried.relu())


def changed(before: nn.Module, after: nn.Module) -> set[str]:
    new = after.state_dict()
    return {name for name, value in before.state_dict().items() if not torch.equal(value, new[name])}


@pytest.mark.parametrize(
    ("preact", "where", "layer"),
    [(False, "last_conv", "norm2"), (False, "norm", "norm2"), (True, "last_conv", "conv2"), (True, "norm", "norm1")],
)
def test_zeroes_one_weight_of_each_branch_and_nothing_else(preact: bool, where: str, layer: str) -> None:
    before, after = net(preact), net(preact)
    after.load_state_dict(before.state_dict())
    zero_gamma(where)(after, KEY)
    names = {f"blocks.{i}.branch.{layer}.weight" for i in range(6)}
    assert changed(before, after) == names
    assert not any(after.state_dict()[name].any() for name in names)


@pytest.mark.parametrize("preact", [False, True])
def test_zeroes_every_branch_where_there_are_several(preact: bool) -> None:
    before, after = (resnet_cifar(10, 3, 16, depth=8, preact=preact, branches=3) for _ in range(2))
    after.load_state_dict(before.state_dict())
    zero_gamma()(after, KEY)
    layer = "conv2" if preact else "norm2"
    branches = ("branch", "beside.0", "beside.1")
    assert changed(before, after) == {f"blocks.{i}.{b}.{layer}.weight" for i in range(3) for b in branches}


@pytest.mark.parametrize("depth", [18, 50])
def test_zeroes_what_torchvision_zeroes(depth: int) -> None:
    model = resnet(10, 3, 32, depth, stem="7x7/2+maxpool")
    zero_gamma()(model, KEY)
    theirs = getattr(library, f"resnet{depth}")(num_classes=10, zero_init_residual=True)
    pairs = list(zip(model.named_parameters(), theirs.parameters(), strict=True))
    zero = [name for (name, p), _ in pairs if name.endswith("weight") and not p.any()]
    assert zero == [name for (name, _), p in pairs if name.endswith("weight") and not p.any()]
    assert len(zero) == {18: 8, 50: 16}[depth]


def test_zeroes_the_last_convolution_of_bottlenecks_v2_before_their_attention() -> None:
    before, after = (resnet(10, 3, 32, 50, width=0.25, preact=True, attention="se") for _ in range(2))
    after.load_state_dict(before.state_dict())
    zero_gamma()(after, KEY)
    assert changed(before, after) == {f"blocks.{i}.branch.conv3.weight" for i in range(16)}


@pytest.mark.parametrize(("where", "learns"), [("last_conv", True), ("norm", False)])
def test_norm_before_the_last_conv_never_learns(where: str, learns: bool) -> None:
    """Why the lab's notes reached only 54.29 %."""
    model = net(preact=True)
    zero_gamma(where)(model, KEY)
    model(images()).square().sum().backward()
    for block in model.blocks:
        gradients = [p.grad.any().item() for p in block.get_submodule("branch").parameters() if p.grad is not None]
        assert any(gradients) == learns


def test_refuses() -> None:
    with pytest.raises(ValueError, match=r"^preact: there is no 'conv'; did you mean last_conv"):
        zero_gamma("conv")
    with pytest.raises(ValueError, match="no residual branches"):
        zero_gamma()(nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)), KEY)


def test_two_zeros_are_refused_before_anything_is_trained() -> None:
    """Gains at 0 around branches that end in a norm at 0: neither ever had a gradient."""
    both = ("recipe=lab_resnet20", "init=[kaiming,zero_gamma]", "regularizer=skip_init")
    with pytest.raises(ConfigError, match=r"^init\.zero_gamma: .*start at 0.* leave one, or set .*start=1$"):
        parts(config(*both))
    parts(config(*both, "regularizer.skip_init.start=1"))
    with pytest.raises(ConfigError, match=r"^init\.zero_gamma: this model has no residual branches"):
        parts(config("model=vgg11", "init=zero_gamma"))
