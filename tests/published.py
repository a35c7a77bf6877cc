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
    "pyramidnet": Published(28.3, "1610.02915, as the authors' README has it too"),
    "pyramidnet110": Published(28.3, "1610.02915, as the authors' README has it too"),
    "pyramidnet272": Published(26.0, "1610.02915, as the authors' README has it too"),
    "rir": Published(9.493, "pytorchcv's rir_cifar10"),
    "shake_resnet": Published(2.923, "pytorchcv's shakeshakeresnet26_2x32d"),
    "shake_resnet26_2x32d": Published(2.923, "pytorchcv's shakeshakeresnet26_2x32d"),
    "shake_resnet26_2x64d": Published(11.654, "pytorchcv's, made as wide"),
    "shake_resnet26_2x96d": Published(26.2, "1705.07485"),
    "shake_resnet26_2x112d": Published(35.640, "pytorchcv's, made as wide"),
    "wide_resnet": Published(36.479, "CIFAR tricks README, counted from its code"),
    "wrn16_8": Published(11.0, "1605.07146"),
    "wrn28_10": Published(36.479, "CIFAR tricks README, counted from its code"),
    "wrn28_2": Published(1.468, "others who trained it print 1.5"),
    "wrn40_2": Published(2.24, "1605.07146, which prints 2.2"),
    "vit": Published(12.478, "47.6 MiB: CIFAR tricks README, table 1.0"),
    "mobilevit_s": Published(5.6, "2110.02178", 1000),
    "mobilevit_xs": Published(2.3, "2110.02178", 1000),
    "mobilevit_xxs": Published(1.272, "timm's mobilevit_xxs; 2110.02178 prints 1.3", 1000),
    "coatnet_0": Published(25, "2106.04803", 1000),
    "coatnet_1": Published(42, "2106.04803", 1000),
    "coatnet_2": Published(75, "2106.04803", 1000),
    "cvt": Published(19.661, "75 MiB: CIFAR tricks README, table 1.0"),
    "swin_t": Published(27.263, "104 MiB: CIFAR tricks README, table 1.0"),
    "swin_s": Published(49.606, "torchvision's swin_s, of a wider window", 1000),
}
