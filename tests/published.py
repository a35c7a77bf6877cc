"""How many parameters each option of `model` has, as others published or count them."""

from __future__ import annotations

from typing import NamedTuple


class Published(NamedTuple):
    """Of a network for images of 32 px in three channels, unless said otherwise."""

    millions: float
    source: str
    classes: int = 10


TRICKS = "CIFAR tricks README, counted from its code"
PAPER = "1512.03385, table 6"
PARAMETERS: dict[str, Published] = {
    "preact_resnet20": Published(0.27, "as v1: 1512.03385, table 6"),
    "preact_resnet56": Published(0.85, "as v1: 1512.03385, table 6"),
    "resnet110": Published(1.73, "1512.03385, table 6, which prints 1.7"),
    "resnet18": Published(11.174, TRICKS),
    "resnet20": Published(0.27, PAPER),
    "resnet32": Published(0.46, PAPER),
    "resnet34": Published(21.282, TRICKS),
    "resnet44": Published(0.66, PAPER),
    "resnet50": Published(23.521, TRICKS),
    "resnet56": Published(0.85, PAPER),
    "resnet_cifar": Published(0.27, PAPER),
}
