"""LeNet-5, for colour images."""

from __future__ import annotations

from torch import nn

from ablation.model._library import Library
from ablation.types import Model

SMALLEST = 16  # px; two 5x5 convolutions without padding and two poolings leave one


def lenet(classes: int, channels: int, size: int) -> Model:
    """LeNet-5 (LeCun et al. 1998, "Gradient-based learning applied to document recognition") as it is built today.

    conv5x5(6) - ReLU - max-pool 2, conv5x5(16) - ReLU - max-pool 2, linear 120 - ReLU, linear 84 - ReLU, linear.
    No padding, no batch norm, with biases. 62,006 parameters for 32 px, 3 channels and 10 classes, by this count.
    Features are the last 84. Images are `size` px wide and have `channels` channels.

    Differs from the paper, as the network of the published tables does: ReLU for scaled tanh, maximum for trained
    average pooling, all 16 channels of the second convolution see all 6, a linear layer for the radial basis functions.

    Raises:
        ValueError: the images are too small.
    """
    if size < SMALLEST:
        raise ValueError(f"size: LeNet-5 needs images of at least {SMALLEST} px, these have {size}")
    side = ((size - 4) // 2 - 4) // 2
    body = nn.Sequential(
        nn.Conv2d(channels, 6, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(16 * side * side, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(),
    )  # fmt: skip
    return Library(body, nn.Linear(84, classes))
