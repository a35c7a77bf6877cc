"""SqueezeNet, with a stem and strides for small images."""

from __future__ import annotations

from torch import Tensor, nn
from torchvision.models.squeezenet import Fire
from torchvision.models.squeezenet import SqueezeNet as Theirs

from ablation.build import near
from ablation.model._library import GlobalMean, Library, replace
from ablation.model._stride import lower_stride, shrink_kernel
from ablation.types import Model

VERSIONS = {"v1.0": "1_0", "v1.1": "1_1"}  # torchvision's names for them


class _Bypass(nn.Module):
    def __init__(self, fire: nn.Module) -> None:
        super().__init__()
        self.fire = fire

    def forward(self, x: Tensor) -> Tensor:
        """The paper's simple bypass: (N, C, H, W) -> (N, C, H, W)."""
        out: Tensor = x + self.fire(x)
        return out


def squeezenet(
    classes: int,
    channels: int,
    size: int,
    version: str = "v1.0",
    stride: int = 8,
    stem_kernel: int = 3,
    norm: bool = True,
    bypass: bool = True,
) -> Model:
    """SqueezeNet (Iandola et al. 2016, 1602.07360): torchvision's, of version v1.0 (the paper's) or v1.1 (cheaper).

    Images are `size` px wide and have `channels` channels. `stride` is image side / side of the last map, 16 in the
    original: the first strided layers are set to step by 1. `stem_kernel` is the first convolution's, in pixels; 7 is
    that of v1.0. With `norm` a batch norm follows each convolution, with `bypass` a shortcut passes each fire module
    that keeps the channels (the paper's simple bypass): with both it is the tricks README's. `features` are (N, 512).

    Differs from the paper: the last convolution is the linear layer after the mean, which is the same but for its ReLU,
    so that logits may be negative; no dropout.

    Raises:
        ValueError: an argument is out of range, or the images are too small for the stride.
    """
    found = VERSIONS.get(version)
    if found is None:
        raise ValueError(f"version: there is no {version!r}; {near(version, VERSIONS)}")
    layers = Theirs(found, classes).features
    own = layers[0]
    if stem_kernel % 2 == 0 or not 0 < stem_kernel <= own.kernel_size[0]:
        raise ValueError(f"stem_kernel: {stem_kernel} is not an odd number up to {own.kernel_size[0]}, the original's")
    layers[0] = nn.Conv2d(channels, own.out_channels, own.kernel_size, own.stride)
    nn.init.kaiming_uniform_(layers[0].weight)
    nn.init.zeros_(layers[0].bias)
    shrink_kernel(layers[0], stem_kernel)
    lower_stride(layers, stride, size, channels)
    for name, module in list(layers.named_modules()):
        if norm and isinstance(module, nn.Conv2d):
            replace(layers, name, nn.Sequential(module, nn.BatchNorm2d(module.out_channels)))
    for name, module in list(layers.named_children()):
        if bypass and isinstance(module, Fire):
            inside, out = _channels(module)
            if inside == out:
                replace(layers, name, _Bypass(module))
    head = nn.Linear(512, classes)
    nn.init.normal_(head.weight, 0, 0.01)
    nn.init.zeros_(head.bias)
    return Library(nn.Sequential(layers, GlobalMean(), nn.Flatten()), head)


def _channels(fire: Fire) -> tuple[int, int]:
    """That a fire module is given, and that it gives."""
    convs = [m for m in fire.modules() if isinstance(m, nn.Conv2d)]
    return convs[0].in_channels, convs[1].out_channels + convs[2].out_channels
