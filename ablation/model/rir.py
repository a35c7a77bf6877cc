"""ResNet in ResNet."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ablation.model._stages import batch_norm
from ablation.model.act import activation
from ablation.model.block import Block, Layers, conv3x3
from ablation.model.shortcut import shortcut as find_shortcut
from ablation.model.stem import find_stem
from ablation.types import Model

LAYERS = (4, 6, 6)  # of each stage; with the stem and the head they are the paper's 18


class Streams(Block):
    """A generalised residual layer on two streams of channels, side by side in one tensor: residual, then transient.

    r' = act(norm(shortcut(r) + W_rr r + W_tr t)) and t' = act(norm(W_rt r + W_tt t)). The four convolutions are one.
    """

    def __init__(self, layers: Layers, inside: int, out: int, stride: int) -> None:
        super().__init__()
        self.inside, self.out = inside, out
        self.conv = conv3x3(2 * inside, 2 * out, stride)
        self.shortcut = find_shortcut(layers.shortcut, inside, out, stride, None)
        self.norm, self.act = layers.norm(2 * out), layers.act()

    def forward(self, x: Tensor) -> Tensor:
        """(N, 2 inside, H, W) -> (N, 2 out, H / stride, W / stride)."""
        residual, transient = self.conv(x).split(self.out, 1)
        # A part of the channels is no block of memory in channels-last, which a convolution wants.
        carried = self.shortcut(x.movedim(1, 3)[..., : self.inside].contiguous().movedim(3, 1))
        out: Tensor = self.act(self.norm(torch.cat((residual + carried, transient), 1)))
        return out


class Head(nn.Module):
    """The last maps to logits: a 1x1 convolution to the classes, a norm over all pixels, the mean."""

    def __init__(self, channels: int, classes: int, layers: Layers) -> None:
        super().__init__()
        self.channels = channels
        self.conv, self.norm = nn.Conv2d(channels, classes, 1, bias=False), layers.norm(classes)

    def forward(self, features: Tensor) -> Tensor:
        """(N, pixels * channels) -> (N, K)."""
        maps = features.reshape(features.shape[0], -1, 1, self.channels).movedim(3, 1)
        out: Tensor = self.norm(self.conv(maps)).mean((2, 3))
        return out


class RiR(Model):
    """Stem, layers on two streams, and a head on the unpooled maps."""

    def __init__(self, stem: nn.Module, blocks: list[nn.Module], head: Head) -> None:
        super().__init__()
        self.stem, self.blocks, self.head = stem, nn.Sequential(*blocks), head

    def features(self, x: Tensor) -> Tensor:
        """Normalised images (N, C, H, W) -> (N, D): the last maps, pixel by pixel, each with its channels."""
        maps: Tensor = self.blocks(self.stem(x))
        return maps.movedim(1, 3).flatten(1)


def rir(
    classes: int,
    channels: int,
    size: int,
    width: float = 48.0,
    stem: str = "3x3/1",
    shortcut: str = "1x1",
    act: str = "relu",
    slope: float | None = None,
    bn_momentum: float = 0.1,
) -> Model:
    """ResNet in ResNet, RiR: a stream with shortcuts beside one without, which feed each other (Targ et al. 2016).

    1603.08029. In each layer convolutions lead from both streams to both; only the residual stream has a shortcut,
    around each single convolution and before the norm. Stem, 4, 6 and 6 such layers with `width`, 2 `width` and
    4 `width` channels in each stream, then both streams through a 1x1 convolution to the classes, a norm, and the mean.
    48 is the paper's 18 layers, three times as wide; a width that is no whole number is rounded.

    Images are `size` px wide and have `channels` channels. The norm after the last convolution needs its values at all
    pixels, so the features are the last maps before pooling: (N, 8 width side^2), side 8 px for images of 32. The head
    has no linear layer; regularizers that look for one (`rotation`, `logit_bn`) refuse it.

    Differs: the four convolutions of a layer are one of all channels, as the paper writes them for its ResNet Init: its
    weights start by the fan of both streams. The paper's RiR has another shortcut around every two layers; it is left
    out here, as in pytorchcv and in the code behind the published row. This has pytorchcv's 9.5 M parameters. That
    code's 10.3 M are due to biases and to its head, which is for 100 classes and has hidden layers; the paper too says
    10.3 M. No `join` and `drop`: a dropped branch would leave the transient stream as it is, whatever that means.

    Raises:
        ValueError: an argument is out of range, or the images are too small for the stem.
    """
    widths = [round(2**stage * width) for stage in range(3)]
    if widths[0] < 1:
        raise ValueError(f"width: {width} leaves no channel; use at least 1")
    found = find_stem(stem, size, deeper=4)
    layers = Layers(batch_norm(bn_momentum), activation(act, slope), None, shortcut)
    conv = found.conv(channels, 2 * widths[0], layers.norm, layers.act)
    blocks: list[nn.Module] = []
    inside = widths[0]
    for stage, out in enumerate(widths):
        for i in range(LAYERS[stage]):
            blocks.append(Streams(layers, inside, out, 2 if stage > 0 and i == 0 else 1))
            inside = out
    entry = nn.Sequential(conv, layers.norm(2 * widths[0]), layers.act(), found.maxpool())
    return RiR(entry, blocks, Head(2 * inside, classes, layers))
