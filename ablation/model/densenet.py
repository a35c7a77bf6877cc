"""Densely connected networks, with a stem for small images."""

from __future__ import annotations

from torch import nn
from torchvision.models.densenet import DenseNet

from ablation.model._library import GlobalMean, Library
from ablation.model.stem import find_stem
from ablation.types import Model

IMAGENET = {121: (6, 12, 24, 16), 169: (6, 12, 32, 32), 201: (6, 12, 48, 32)}  # their layers in each block


def _blocks(depth: int) -> tuple[int, ...]:
    if depth in IMAGENET:
        return IMAGENET[depth]
    n, rest = divmod(depth - 4, 6)
    if n < 1 or rest:
        near = f"{6 * max(n, 1) + 4} and {6 * max(n, 1) + 10}"
        raise ValueError(f"depth: {depth} is neither 121, 169, 201 (four blocks) nor 6n+4 (three); nearest are {near}")
    return (n,) * 3


def densenet(classes: int, channels: int, size: int, depth: int = 121, growth: int = 32, stem: str = "3x3/1") -> Model:
    """DenseNet-BC (Huang et al. 2016, 1608.06993): torchvision's, each layer adding `growth` channels to all before it.

    Depths 121, 169 and 201 are the paper's for ImageNet, of four blocks; 6n+4 (100, 190, 250) are those for CIFAR, of
    three. A stem of 2 growth channels, blocks of bottleneck layers (1x1 to 4 growth channels, 3x3 to growth), between
    them halves of the channels and of the resolution, a mean, linear. Images are `size` px wide and have `channels`
    channels. "3x3/1" keeps their resolution, "7x7/2+maxpool" is ImageNet's; a norm and ReLU follow a stem with pooling
    alone, as in the paper. `features` are (N, D). Weights start as torchvision's.

    Differs from the paper: no dropout, of which it has 0.2 for CIFAR without augmentation.

    Raises:
        ValueError: an argument is out of range, or the images are too small for the stem.
    """
    blocks = _blocks(depth)
    if growth < 1:
        raise ValueError(f"growth: {growth} channels a layer are less than one; 12 or 32 are usual")
    found = find_stem(stem, size, deeper=2 ** (len(blocks) - 1))
    net = DenseNet(growth, blocks, 2 * growth, num_classes=classes)
    net.features.conv0 = found.conv(channels, 2 * growth, nn.BatchNorm2d, nn.ReLU)
    for layer in net.features.conv0.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)
    net.features.pool0 = found.maxpool()
    if not found.pool:
        net.features.norm0 = net.features.relu0 = nn.Identity()
    return Library(nn.Sequential(net.features, nn.ReLU(), GlobalMean(), nn.Flatten()), net.classifier)
