"""ImageNet's ResNets, with a stem for small images."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

from torch import nn

from ablation.model.act import activation
from ablation.model.attention import attention as attention_of
from ablation.model.block import Layers, PostBlock, PreBlock, joiner
from ablation.model.bottleneck import PostBottleneck, PreBottleneck
from ablation.model.resnet_cifar import ResNetCifar
from ablation.model.stem import find_stem
from ablation.types import Drop, Join, Model

STAGES = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}  # their blocks
BASIC = (18, 34)  # depths whose blocks are two 3x3 convolutions; the others have bottlenecks
BASE = 64  # channels of the first stage at width 1; 128, 256 and 512 follow
EXPANSION = 4  # a bottleneck's output has so many times its stage's channels


class Plan(NamedTuple):
    """What tells the networks of the family apart."""

    depth: int
    width: float
    preact: bool
    groups: int
    group_width: int
    stride_first: bool

    @property
    def basic(self) -> bool:
        """Blocks are two 3x3 convolutions, not bottlenecks."""
        return self.depth in BASIC

    def channels(self, stage: int) -> int:
        """Of a stage, from 0; a bottleneck's output has EXPANSION times as many."""
        return round(self.width * (BASE << stage))


def _check(plan: Plan) -> None:
    """Raise ValueError for what is out of range, or has no place in these blocks."""
    if plan.depth not in STAGES:
        ways = f"valid: {', '.join(map(str, STAGES))}; model=resnet_cifar has 6n+2 layers"
        raise ValueError(f"depth: there is no ResNet-{plan.depth}; {ways}")
    if plan.channels(0) < 1:
        raise ValueError(f"width: {plan.width} leaves no channel; use at least {1 / BASE}")
    for name, value, plain in (("groups", plan.groups, 1), ("group_width", plan.group_width, BASE)):
        if value < 1:
            raise ValueError(f"{name}: {value} is less than one")
        if plan.basic and value != plain:
            raise ValueError(f"{name}: is for bottlenecks; leave it {plain}, or take depth=50, 101 or 152")
    if plan.stride_first and (plan.preact or plan.basic):
        raise ValueError("stride_first: is for bottlenecks v1; leave it false, or take depth=50 and preact=false")


def _blocks(layers: Layers, plan: Plan, join: Join | None, side: int) -> list[nn.Module]:
    """Four stages, on maps of `side` px."""
    blocks: list[nn.Module] = []
    inside = plan.channels(0)
    for stage, count in enumerate(STAGES[plan.depth]):
        channels = plan.channels(stage)
        mid = plan.groups * max(round(channels * plan.group_width / BASE), 1)
        out = channels if plan.basic else EXPANSION * channels
        for i in range(count):
            stride = 2 if stage > 0 and i == 0 else 1
            side = -(-side // stride)
            joined = joiner(join, len(blocks) + 1, sum(STAGES[plan.depth]), layers.branches)
            how: dict[str, Any] = {"side": side} | ({"start": i == 0} if plan.preact else {})
            if plan.basic:
                basic = PreBlock if plan.preact else PostBlock
                blocks.append(basic(layers, inside, out, stride, joined, **how))
            else:
                how |= {"groups": plan.groups} | ({} if plan.preact else {"stride_first": plan.stride_first})
                bottleneck = PreBottleneck if plan.preact else PostBottleneck
                blocks.append(bottleneck(layers, inside, mid, out, stride, joined, **how))
            inside = out
    return blocks


def resnet(
    classes: int,
    channels: int,
    size: int,
    depth: int = 18,
    width: float = 1.0,
    preact: bool = False,
    stem: str = "3x3/1",
    shortcut: str = "1x1",
    act: str = "relu",
    slope: float | None = None,
    groups: int = 1,
    group_width: int = 64,
    stride_first: bool = False,
    attention: str | None = None,
    bn_momentum: float = 0.1,
    branches: int = 1,
    join: Join | None = None,
    drop: Drop | None = None,
) -> Model:
    """ResNet-18 to -152 (He et al. 2015, 1512.03385, table 1) or their v2 (`preact`; He et al. 2016, 1603.05027).

    Images are `size` px wide and have `channels` channels. The stem "3x3/1" keeps their resolution, as is usual for
    CIFAR, where the paper's is "7x7/2+maxpool"; then come four stages of 64 to 512 channels, of two 3x3 convolutions a
    block at depth 18 and 34, else of bottlenecks with four times as many at their ends, mean, linear. `width`
    multiplies all channels, the stem's too. Parameters are torchvision's: 11.2, 21.3, 23.5, 42.5 and 58.2 M (10
    classes).

    A bottleneck's 3x3 convolution has the stride, as is usual since Gross and Wilber (2016) and called B in Bag of
    Tricks (He et al. 2018, 1812.01187); `stride_first` is the paper's own, A: the first 1x1 has it. C is B with a
    "deep" stem, D is C with the shortcut "avg". `groups` of `group_width` channels at width 1 make the 3x3 of a ResNeXt
    (Xie et al. 2016, 1611.05431). `attention` ends each branch: see `ablation/model/attention.py`. `branches`: so many
    residual branches side by side in each block, as in `resnet_cifar`.

    Convolutions start as `init.kaiming` of fan_out by torchvision's choice, and no gamma starts at zero. Differs: in v2
    the shortcut of the very first block too begins after norm and activation, as in the authors' code, and the network
    ends in these two; networks called PreActResNet18 elsewhere often have neither. Features: (N, 512 width), or (N,
    2048 width) with bottlenecks.

    Raises:
        ValueError: an argument is out of range, or has no place in this network, or the images are too small.
    """
    plan = Plan(depth, width, preact, groups, group_width, stride_first)
    _check(plan)
    if not 0 < bn_momentum <= 1:
        raise ValueError(f"bn_momentum: {bn_momentum} is not in (0, 1]")
    found, norm = find_stem(stem, size, deeper=8), partial(nn.BatchNorm2d, momentum=bn_momentum)
    layers = Layers(norm, activation(act, slope), drop, shortcut, branches, attention_of(attention, norm))
    first, last = plan.channels(0), plan.channels(3) * (1 if plan.basic else EXPANSION)
    conv, pool = found.conv(channels, first, norm, layers.act), found.maxpool()
    if preact:  # v2 moves the stem's norm and activation to the very end
        entry, tail = nn.Sequential(conv, pool), nn.Sequential(norm(last), layers.act())
    else:
        entry, tail = nn.Sequential(conv, norm(first), layers.act(), pool), nn.Sequential()
    blocks = _blocks(layers, plan, join, found.side(size))
    model = ResNetCifar(entry, blocks, tail, nn.Linear(last, classes))
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return model
