"""MobileViTs: inverted residuals, and attention among distant pixels, with strides for small images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from timm.models.byobnet import ByoBlockCfg, ByobNet
from timm.models.mobilevit import model_cfgs
from torch import nn

from ablation.build import near
from ablation.model._attention import write_out_attention
from ablation.model._library import GlobalMean, Library
from ablation.model._numbers import at_least, divides, hidden, per_stage
from ablation.types import Model

VARIANTS = ("s", "xs", "xxs")


def _stage(
    blocks: ByoBlockCfg | tuple[ByoBlockCfg, ...], stride: int, attention: dict[str, int | float]
) -> tuple[ByoBlockCfg, ...]:
    """A stage of timm's with another stride, and with this attention if it has any."""
    first, *rest = blocks if isinstance(blocks, tuple) else (blocks,)
    return replace(first, s=stride), *(
        replace(block, block_kwargs={**(block.block_kwargs or {}), **attention}) for block in rest
    )


def mobilevit(
    classes: int,
    channels: int,
    size: int,
    variant: str = "s",
    strides: Sequence[int] = (2, 1, 1, 2, 2, 1),
    patch: int = 2,
    depths: Sequence[int] = (2, 4, 3),
    heads: int = 4,
    mlp: float = 2.0,
) -> Model:
    """MobileViT (Mehta & Rastegari 2021, 2110.02178) s, xs or xxs: timm's, with strides for small images.

    A 3x3 stem, two stages of inverted residuals, three that end in attention of `depths` layers, where each of the
    `patch` x `patch` pixels of a patch attends to those at its place in all other patches. `strides` are those of the
    stem and the five stages: by default the lab's notes', of a total of 8, with attention on maps of 8, 4 and 4 px of
    a CIFAR image; the paper's are [2, 1, 2, 2, 2, 2]. Features are (N, 640), (N, 384) or (N, 320). Parameters are the
    paper's 5.6, 2.3 and 1.3 M with 1000 classes, 4.94, 1.94 and 0.95 M with ten.

    Differs: the notes' weights are of 19.2, 7.78 and 4.0 MiB, these of 18.9, 7.42 and 3.66, for the notes' source has
    MLPs of four instead of two times the width in the last two stages, and one head of 32 channels. Dropout of the
    paper is off.

    Raises:
        ValueError: an argument is out of range, or the maps with attention cannot be cut into patches.
    """
    if variant not in VARIANTS:
        raise ValueError(f"variant: there is no {variant!r}; {near(variant, VARIANTS)}")
    steps, layers = per_stage("strides", strides, 6, "stem and stages"), per_stage("depths", depths, 3)
    at_least(1, patch=patch, heads=heads)
    if not set(steps) <= {1, 2}:
        raise ValueError(f"strides: {steps} are not all 1 or 2")
    cfg = model_cfgs[f"mobilevit_{variant}"]
    side = size
    for i, step in enumerate(steps):
        side = -(-side // step)
        if i >= 3 and side % patch:
            raise ValueError(
                f"patch: {patch} does not divide the map of stage {i}, {side} px wide; change it or strides"
            )
    plain, attentive = cfg.blocks[:2], cfg.blocks[2:]
    stages = [_stage(blocks, step, {}) for blocks, step in zip(plain, steps[1:3], strict=True)]
    for blocks, step, depth in zip(attentive, steps[3:], layers, strict=True):
        dim = blocks[1].block_kwargs["transformer_dim"]
        divides("heads", heads, dim, "a stage's channels")
        hidden(dim, mlp)
        attention = {"patch_size": patch, "transformer_depth": depth, "num_heads": heads, "mlp_ratio": mlp}
        stages.append(_stage(blocks, step, attention))
    net = ByobNet(replace(cfg, blocks=tuple(stages)), num_classes=classes, in_chans=channels)
    net.stem.conv.stride = (steps[0], steps[0])
    head, net.head.fc = net.head.fc, nn.Identity()
    net.head.global_pool = nn.Sequential(GlobalMean(), nn.Flatten(1))  # type: ignore[assignment]
    write_out_attention(net)
    return Library(net, head)
