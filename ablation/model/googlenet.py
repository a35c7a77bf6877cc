"""GoogLeNet, the first Inception network, with a stem and strides for small images."""

from __future__ import annotations

from torch import nn
from torchvision.models.googlenet import BasicConv2d, GoogLeNet, Inception

from ablation.build import near
from ablation.model._library import Library, global_means
from ablation.model._stride import lower_stride
from ablation.types import Model

STEMS = ("3x3", "7x7")
WIDE = ("3x3+3x3", "5x5", "3x3")


def googlenet(
    classes: int, channels: int, size: int, stem: str = "3x3", wide: str = "3x3+3x3", stride: int = 4
) -> Model:
    """GoogLeNet (Szegedy et al. 2014, 1409.4842) with batch norm: torchvision's nine inception modules, a mean, linear.

    Images are `size` px wide and have `channels` channels. A stem of "3x3" is one convolution to 192 channels at full
    resolution, "7x7" ImageNet's three with two poolings. `wide` is the modules' widest convolution: the paper's "5x5",
    "3x3" as in torchvision, or two of these, "3x3+3x3"; the defaults are the tricks README's. `stride` is image side /
    side of the last map, 4 of the first stem and 32 of the second: for less, the first strided layers step by 1.
    `features` are (N, 1024). Weights start as PyTorch's layers do.

    Differs from the paper: batch norm, no auxiliary heads, no dropout.

    Raises:
        ValueError: an argument is out of range, or the images are too small for the stride.
    """
    if stem not in STEMS:
        raise ValueError(f"stem: there is no {stem!r}; {near(stem, STEMS)}")
    if wide not in WIDE:
        raise ValueError(f"wide: there is no {wide!r}; {near(wide, WIDE)}")
    net = GoogLeNet(classes, aux_logits=False, init_weights=False, dropout=0.0)
    if stem == "3x3":
        net.conv1 = BasicConv2d(channels, 192, kernel_size=3, padding=1)
        net.maxpool1 = net.conv2 = net.conv3 = net.maxpool2 = nn.Identity()
    else:
        net.conv1 = BasicConv2d(channels, 64, kernel_size=7, stride=2, padding=3)
    for module in net.modules():
        if isinstance(module, Inception):
            module.branch3[1] = _wide(wide, module.branch3[1].conv)
    global_means(net)
    head, net.fc = net.fc, nn.Identity()
    lower_stride(net, stride, size, channels)
    return Library(net, head)


def _wide(kind: str, conv: nn.Conv2d) -> nn.Module:
    """In the place of torchvision's 3x3 convolution."""
    inside, out = conv.in_channels, conv.out_channels
    kernel = 5 if kind == "5x5" else 3
    first: nn.Module = BasicConv2d(inside, out, kernel_size=kernel, padding=kernel // 2)
    return nn.Sequential(first, BasicConv2d(out, out, kernel_size=3, padding=1)) if kind == "3x3+3x3" else first
