"""ImageNet's ResNets, with a stem for small images."""

from __future__ import annotations

from functools import partial

import torchvision.models as library
from torch import Tensor, nn

from ablation.model.stem import find_stem
from ablation.types import Model

DEPTHS = {18: library.resnet18, 34: library.resnet34, 50: library.resnet50}


class ResNet(Model):
    """torchvision's network up to the pooled features, and its linear head."""

    def __init__(self, body: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.body, self.head = body, head

    def features(self, x: Tensor) -> Tensor:
        """Normalised images (N, C, H, W) -> features (N, 512), or (N, 2048) at depth 50."""
        out: Tensor = self.body(x)
        return out


class GlobalMean(nn.Module):
    """Global average pooling: torch's adaptive one has no fast path under `torch.vmap` in channels-last memory."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, D, H, W) -> (N, D, 1, 1)."""
        return x.mean((2, 3), keepdim=True)


def resnet(
    classes: int, channels: int, size: int, depth: int = 18, stem: str = "3x3/1", bn_momentum: float = 0.1
) -> Model:
    """ResNet-18, -34 or -50 (He et al. 2015, 1512.03385): torchvision's, where the stem is for 224 px by default.

    Images are `size` px wide and have `channels` channels. "3x3/1" keeps their resolution, as is usual for CIFAR;
    "7x7/2+maxpool" is the original. In the bottlenecks of depth 50 the 3x3 convolution has the stride, not the first
    1x1. Convolutions start as `init.kaiming` of fan_out by torchvision's choice, and no gamma starts at zero.

    Raises:
        ValueError: an argument is out of range, or the images are too small for the stem.
    """
    if depth not in DEPTHS:
        raise ValueError(f"depth: there is no ResNet-{depth}; valid: {', '.join(map(str, DEPTHS))}")
    if not 0 < bn_momentum <= 1:
        raise ValueError(f"bn_momentum: {bn_momentum} is not in (0, 1]")
    found = find_stem(stem, size, deeper=8)
    norm = partial(nn.BatchNorm2d, momentum=bn_momentum)
    body = DEPTHS[depth](weights=None, num_classes=classes, norm_layer=norm, zero_init_residual=False)
    body.conv1 = found.conv(channels, body.conv1.out_channels)
    nn.init.kaiming_normal_(body.conv1.weight, mode="fan_out", nonlinearity="relu")  # as its other convolutions
    body.maxpool = found.maxpool()
    body.avgpool = GlobalMean()
    head, body.fc = body.fc, nn.Identity()
    return ResNet(body, head)
