"""timm's networks as ours: equal to timm's own, and to those of others with their strides set by hand."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import timm as library
import torch
import torchvision.models as vision
from networks import network
from pytorchcv.model_provider import get_model
from pytorchcv.models.dpn import DPN
from torch import Tensor, nn

from ablation.model.timm import timm

Images = Callable[..., Tensor]


def filled(model: nn.Module, values: Iterator[Tensor] | None = None) -> nn.Module:
    """Off the meta device, with a network's tensors in their order, or small random ones."""
    model = model.to_empty(device="cpu") if next(model.parameters()).is_meta else model
    generator = torch.Generator().manual_seed(0)
    for tensor in model.state_dict().values():
        if values:
            tensor.copy_(next(values).view(tensor.shape))
        elif tensor.ndim < 2:
            tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5 if tensor.ndim else torch.tensor(0))
        else:
            fan = tensor[0].numel()
            tensor.copy_((torch.rand(tensor.shape, generator=generator) - 0.5) * (12 / fan) ** 0.5)
    return model


def check_equal(ours: nn.Module, theirs: nn.Module, x: Tensor) -> None:
    for training in (True, False):
        torch.testing.assert_close(ours.train(training)(x), theirs.train(training)(x), rtol=1e-3, atol=1e-4)


def by_hand(model: nn.Module, *modules: str) -> nn.Module:
    """The network with stride 1 in these modules, and no pooling there."""
    for name in modules:
        for path, m in list(model.get_submodule(name).named_modules(prefix=name)):
            if isinstance(m, nn.MaxPool2d):
                model.set_submodule(path, nn.Identity())
            elif isinstance(m, nn.Conv2d):
                m.stride = (1, 1)
    return model


def xception() -> nn.Module:
    net = by_hand(get_model("xception", num_classes=10), "features.init_block", "features.stage1.unit1")
    net.features.init_block.conv1.conv.padding = (1, 1)  # else stride 1 would shrink the maps
    net.features.final_block.pool = nn.AdaptiveAvgPool2d(1)  # theirs is for 10 px
    return net


def dpn26() -> nn.Module:
    incs, bws, rs = (16, 32, 24, 128), (256, 512, 1024, 2048), (96, 192, 384, 768)
    channels = [[bw + 3 * inc, bw + 4 * inc] for bw, inc in zip(bws, incs, strict=True)]
    net = DPN(channels, 64, 3, 1, rs, bws, incs, 32, False, True, False, num_classes=10)
    return by_hand(net, "features.init_block")


def pooled(net: nn.Module) -> nn.Module:
    net.features.final_pool = nn.AdaptiveAvgPool2d(1)  # theirs is for 7 px
    return net


def convnext() -> nn.Module:
    net = vision.convnext_tiny(num_classes=10)
    net.features[0][0] = nn.Conv2d(3, 96, 2, 2)
    return net


THEIRS: dict[str, Callable[[], nn.Module]] = {
    "regnetx_200mf": lambda: by_hand(
        pooled(get_model("regnetx002", num_classes=10)),
        "features.init_block", "features.stage1.unit1", "features.stage2.unit1",
    ),
    "efficientnet_b0": lambda: by_hand(
        vision.efficientnet_b0(num_classes=10, dropout=0.0, stochastic_depth_prob=0.0), "features.0"
    ),
    "mobilenet_v1": lambda: by_hand(pooled(get_model("mobilenet_w1", num_classes=10)), "features.init_block"),
    "mobilenet_v2": lambda: by_hand(vision.mobilenet_v2(num_classes=10, dropout=0.0), "features.0", "features.2"),
    "dpn26": dpn26,
    "xception": xception,
    "convnext_tiny": convnext,
}  # fmt: skip
SLOW = {"xception", "convnext_tiny", "dpn26"}
CASES = [pytest.param(o, marks=pytest.mark.slow) if o in SLOW else o for o in THEIRS]


@pytest.mark.parametrize("option", CASES)
def test_computes_what_others_compute_with_strides_set_by_hand(option: str, images: Images) -> None:
    with torch.device("meta"):
        theirs, ours = THEIRS[option](), network(option)
    for m in theirs.modules():
        if isinstance(m, vision.convnext.CNBlock):
            m.stochastic_depth.p = 0.0
    filled(theirs)
    filled(ours, iter(theirs.state_dict().values()))
    check_equal(ours, theirs, images(4))


# A head of one linear layer, a 1x1 convolution, one after further layers, of a transformer, and of a gated network.
@pytest.mark.parametrize("name", ["test_resnet", "dpn48b", "lcnet_050", "test_vit", "test_efficientnet"])
def test_unchanged_it_is_timms(name: str, images: Images) -> None:
    with torch.device("meta"):
        theirs = library.create_model(name, num_classes=10, **({"img_size": 64} if "vit" in name else {}))
        ours = timm(10, 3, 64, name)
    filled(theirs)
    filled(ours, iter(theirs.state_dict().values()))
    check_equal(ours, theirs, images(2, size=64))
    assert isinstance(ours.head, nn.Linear)
    assert ours.features(images(2, size=64)).shape == (2, ours.head.in_features)


def test_rates_of_what_draws_are_zero(images: Images) -> None:
    model = timm(10, 3, 32, "test_resnet", arguments={"drop_rate": 0.5, "drop_path_rate": 0.5})
    torch.testing.assert_close(model(images()), model(images()))


def test_the_stems_kernel_is_the_middle_of_the_librarys() -> None:
    torch.manual_seed(0)
    ours = timm(10, 1, 32, "resnet10t", stem_kernel=1)
    torch.manual_seed(0)
    theirs = library.create_model("resnet10t", num_classes=10, in_chans=1)
    conv = next(m for m in ours.modules() if isinstance(m, nn.Conv2d))
    assert (conv.kernel_size, conv.padding) == ((1, 1), (0, 0))
    torch.testing.assert_close(conv.weight, 3 * theirs.conv1[0].weight[:, :, 1:2, 1:2])


def test_refuses() -> None:
    bads: list[tuple[dict[str, Any], str]] = [
        ({"name": "resnet27"}, r"^name: timm has no 'resnet27'; did you mean .*resnet"),
        ({"name": "resnet50.a1_in1k"}, r"^name: timm has no .*; did you mean "),
        ({"name": "deit_tiny_distilled_patch16_224"}, r"^name: .* has not one classifier"),
        ({"name": "volo_d1_224"}, r"^name: .* does not end with its classifier"),
        ({"name": "inception_v3"}, r"^size: this network cannot run on images of 32 px"),
        ({"stride": 3}, r"^stride: this network, of 32, cannot have 3; valid: 1, 2, 4, 8, 16, 32"),
        (
            {"stride": 8, "name": "vit_tiny_patch16_224"},
            r"^stride: this network takes images of one size only; leave it null",
        ),
        ({"stem_kernel": 2}, r"^stem_kernel: 2 cannot be cut from the first convolution's 7 px"),
        ({"arguments": {"wings": 2}}, r"^arguments: resnet26 cannot be built with .*wings"),
        ({"arguments": {"num_classes": 2}}, r"^arguments: num_classes cannot be set here"),
        ({"arguments": "text"}, r"^arguments: 'text' is not a mapping such as \{patch_size: 2\}"),
    ]
    for bad, message in bads:
        with torch.device("meta"), pytest.raises(ValueError, match=message):
            timm(10, 3, 32, **bad)
