"""The VGG networks with one linear layer."""

from __future__ import annotations

from torch import nn
from torchvision.models import vgg as library

from ablation.build import near
from ablation.model._library import GlobalMean, Library
from ablation.types import Model

STAGES = {11: "A", 13: "B", 16: "D", 19: "E"}  # the paper's names for its depths


def vgg(classes: int, channels: int, size: int, depth: int = 11, norm: bool = True) -> Model:
    """VGG of 11, 13, 16 or 19 layers (Simonyan and Zisserman 2014, 1409.1556): torchvision's convolutions, linear.

    Images are `size` px wide, at least 32, and have `channels` channels; five poolings halve them. With `norm` a batch
    norm follows each convolution. `features` are (N, 512). Weights start as torchvision's.

    Differs from the paper: its three linear layers, with dropout between them, are one, as usual for small images.

    Raises:
        ValueError: there is no such depth, or the images are too small.
    """
    if depth not in STAGES:
        raise ValueError(f"depth: there is no VGG-{depth}; {near(depth, STAGES)}")
    if size < 32:
        raise ValueError(f"size: five poolings leave nothing of images of {size} px; use at least 32 px")
    layers = library.make_layers(library.cfgs[STAGES[depth]], batch_norm=norm)
    first = layers[0]
    layers[0] = nn.Conv2d(channels, first.out_channels, 3, padding=1)
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            nn.init.constant_(layer.bias, 0)  # type: ignore[arg-type]  # they all have one
    head = nn.Linear(512, classes)
    nn.init.normal_(head.weight, 0, 0.01)
    nn.init.zeros_(head.bias)
    return Library(nn.Sequential(layers, GlobalMean(), nn.Flatten()), head)
