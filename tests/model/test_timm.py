"""timm's networks as ours: equal to timm's own, and to those of others with their strides set by hand."""

from collections.abc import Callable, Iterator

import pytest
import torch
import torchvision.models as vision
from networks import network
from pytorchcv.model_provider import get_model
from pytorchcv.models.dpn import DPN
from torch import Tensor, nn

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
    net = by_hand(get_model("xception", num_classes=10), "features.init_block")
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
