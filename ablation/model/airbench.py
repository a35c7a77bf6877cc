"""The network of airbench94, which reaches 94 % on CIFAR-10 in seconds of a GPU."""

from __future__ import annotations

from torch import Tensor, nn

from ablation.model.block import conv3x3
from ablation.types import Model

SMALLEST = 25  # px; a 2x2 convolution, three 2x2 poolings and one of 3x3 leave one
GROUPS = (1, 4, 4)  # times `width`


def _norm(width: int, momentum: float) -> nn.BatchNorm2d:
    """A batch norm that shifts and does not scale."""
    norm = nn.BatchNorm2d(width, eps=1e-12, momentum=momentum, affine=False)
    norm.bias = nn.Parameter(nn.init.zeros_(norm.running_mean.clone()))  # type: ignore[union-attr]
    return norm


def _conv(inside: int, out: int) -> nn.Conv2d:
    """A convolution whose first `inside` outputs start as its inputs."""
    conv = conv3x3(inside, out)
    nn.init.dirac_(conv.weight.data[:inside])
    return conv


def _group(inside: int, out: int, momentum: float) -> nn.Sequential:
    return nn.Sequential(
        _conv(inside, out), nn.MaxPool2d(2), _norm(out, momentum), nn.GELU(),
        _conv(out, out), _norm(out, momentum), nn.GELU(),
    )  # fmt: skip


class Airbench(Model):
    """Stem, groups, maximum, factor, linear head."""

    def __init__(self, body: nn.Sequential, factor: float, head: nn.Linear) -> None:
        super().__init__()
        self.body, self.factor, self.head = body, factor, head

    def features(self, x: Tensor) -> Tensor:
        """Normalised images (N, C, H, W) -> features (N, 4 width) at 25 to 47 px."""
        maps: Tensor = self.body(x)
        return maps.flatten(1) * self.factor


def airbench(
    classes: int, channels: int, size: int, width: float = 64, factor: float = 1 / 9, bn_momentum: float = 0.4
) -> Model:
    """The network of airbench94 (Jordan 2024, 2404.00498).

    A 2x2 convolution without padding to 8 maps per channel, GELU; three groups of conv3x3 - max-pool 2 - BN - GELU -
    conv3x3 - BN - GELU with 1, 4 and 4 times `width` channels (rounded); 3x3 max-pool; a linear head without bias,
    logits times `factor`. The norms have a bias and no weight, and the share `bn_momentum` of the new batch. A 3x3
    convolution starts as the identity of its inputs, further outputs as PyTorch's do. 1.97 M parameters at 3 channels
    and 10 classes, as the author's code has. Images are `size` px wide and have `channels` channels; 32 px become maps
    of 31, 15, 7, 3 and 1 px.

    Differs: the author's first convolution is made of the whitening of 2x2 patches of the training images, and frozen;
    a network here is made before it meets data, so it starts as PyTorch's do and is trained. The factor, which has no
    effect on what follows, is applied to the features. What belongs to the training (alternating flips, lookahead,
    a rate of its own for biases, six views of a test image) is not in the network.

    Raises:
        ValueError: an argument is out of range, or the images are too small.
    """
    base = round(width)
    if base < 1:
        raise ValueError(f"width: {width} leaves no channel; use at least 1")
    if factor <= 0:
        raise ValueError(f"factor: {factor} is not above 0; {1 / 9:.3f} is the author's")
    if not 0 < bn_momentum <= 1:
        raise ValueError(f"bn_momentum: {bn_momentum} is not in (0, 1]")
    if size < SMALLEST:
        raise ValueError(f"size: airbench needs images of at least {SMALLEST} px, these have {size}")
    inside = 2 * 4 * channels  # every direction of a 2x2 patch, and its opposite
    groups = []
    for times in GROUPS:
        groups.append(_group(inside, times * base, bn_momentum))
        inside = times * base
    body = nn.Sequential(nn.Conv2d(channels, 8 * channels, 2), nn.GELU(), *groups, nn.MaxPool2d(3))
    side = (size - 1) // 8 // 3
    return Airbench(body, factor, nn.Linear(inside * side * side, classes, bias=False))
