"""ToyNet, on which one sees what keeps a processor busy: kernels, channels, layers, or none of them."""

from __future__ import annotations

from torch import nn

from ablation.model._library import Library
from ablation.types import Model

WIDTHS = (6, 16)  # channels of the two stages at scale 1


def _stage(inside: int, out: int, kernel: int, depth: int, norm: bool) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for i in range(depth):
        layers.append(nn.Conv2d(inside if i == 0 else out, out, kernel, padding=kernel // 2, bias=not norm))
        layers += [nn.BatchNorm2d(out), nn.ReLU()] if norm else [nn.ReLU()]
    return [*layers, nn.MaxPool2d(2)]


def toynet(
    classes: int, channels: int, size: int, scale: float = 1.0, kernel: int = 5, depth: int = 2, norm: bool = False
) -> Model:
    """A LeNet-like network of the CIFAR tricks' table 3.4 (2021), made to be scaled; no paper.

    Two stages of `depth` / 2 convolutions of `kernel` x `kernel` pixels, the first having the odd one; 6 x `scale` and
    16 x `scale` channels; padded, each with ReLU; a 2x2 max-pool ends a stage. Then linear 120 - ReLU, 84 - ReLU and
    the classes. `norm` puts a batch norm after each convolution. Two layers without are the source's first network, 25
    with (`depth=25 norm=true`) its later one. 137 k parameters by default for 32 px, 3 channels and 10 classes, by this
    count. Features are the last 84. Images are `size` px wide and have `channels` channels.

    Differs: how the source splits its 25 layers over stages is not known; here they are split in halves.

    Raises:
        ValueError: an argument is out of range, or the images are too small.
    """
    if kernel < 1 or kernel % 2 == 0:
        raise ValueError(f"kernel: {kernel} is not odd; nearest are {max(kernel - 1, 1)} and {max(kernel + 1, 3)}")
    if depth < 2:
        raise ValueError(f"depth: {depth} is less than one convolution a stage; use at least 2")
    first, second = (round(width * scale) for width in WIDTHS)
    if first < 1:
        raise ValueError(f"scale: {scale} leaves no channel; use at least {1 / WIDTHS[0]:.2f}")
    if size < 4:
        raise ValueError(f"size: two poolings need images of at least 4 px, these have {size}")
    body = nn.Sequential(
        *_stage(channels, first, kernel, (depth + 1) // 2, norm),
        *_stage(first, second, kernel, depth // 2, norm),
        nn.Flatten(), nn.Linear(second * (size // 4) ** 2, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(),
    )  # fmt: skip
    return Library(body, nn.Linear(84, classes))
