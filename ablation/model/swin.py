"""Swin transformers with strides for small images."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from itertools import accumulate
from operator import floordiv

from timm.layers.patch_embed import PatchEmbed
from timm.models.swin_transformer import PatchMerging, SwinTransformerStage
from torch import Tensor, nn

from ablation.model._attention import write_out_attention
from ablation.model._library import Library
from ablation.model._numbers import at_least, divides, hidden, nearest, per_stage
from ablation.types import Model


class Swin(nn.Module):
    """Patches, stages, norm, and the mean over the last map. Its names are those of timm's network."""

    def __init__(self, patch_embed: nn.Module, layers: list[nn.Module], norm: nn.Module) -> None:
        super().__init__()
        self.patch_embed, self.layers, self.norm = patch_embed, nn.Sequential(*layers), norm

    def forward(self, x: Tensor) -> Tensor:
        """Normalised images (N, C, H, W) -> features (N, D)."""
        maps: Tensor = self.norm(self.layers(self.patch_embed(x)))  # (N, H', W', D)
        return maps.mean((1, 2))


def _merge(stride: int, inside: int, out: int) -> nn.Module:
    """From stage to stage: `stride` x `stride` neighbours become one token, by a norm and a linear layer."""
    if stride == 2:
        return PatchMerging(inside, out)
    return nn.Sequential(OrderedDict(norm=nn.LayerNorm(inside), reduction=nn.Linear(inside, out, bias=False)))


def _sides(size: int, patch: int, strides: list[int], window: int) -> list[int]:
    """Sides of the stages' maps."""
    divides("patch", patch, size, "the image's side")
    for i, stride in enumerate(strides):
        if stride not in (1, 2):
            raise ValueError(f"strides: {stride} is neither 1 nor 2")
        side = size // patch
        for earlier in strides[:i]:
            side //= earlier
        if side % stride:
            raise ValueError(f"strides: the map of stage {i + 1}, {side} px wide, cannot be halved; put 1 there")
    sides = list(accumulate([size // patch, *strides], floordiv))

    def fits(window: int) -> bool:
        return all(side <= window or side % window == 0 for side in sides)

    at_least(1, window=window)
    if not fits(window):
        valid = [w for w in range(1, sides[0] + 1) if fits(w)]
        maps = ", ".join(map(str, sides))
        raise ValueError(f"window: {window} does not divide the maps' sides, {maps} px; {nearest(window, valid)}")
    return sides


def _init(model: nn.Module) -> None:
    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            nn.init.trunc_normal_(layer.weight, std=0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def swin(
    classes: int,
    channels: int,
    size: int,
    patch: int = 2,
    window: int = 4,
    dim: int = 96,
    depths: Sequence[int] = (2, 2, 6, 2),
    heads: Sequence[int] = (3, 6, 12, 24),
    strides: Sequence[int] = (1, 2, 2),
    mlp: float = 4.0,
) -> Model:
    """Swin transformer (Liu et al. 2021, 2103.14030) of timm's stages, by default Swin-T as in the lab's notes.

    Patches of `patch` x `patch` px become tokens of `dim` numbers. In each stage, of `depths` layers, tokens attend to
    those in their window of `window` x `window`, in every second layer windows are shifted by half; the next stage has
    twice the numbers and maps `strides` times as small. The notes' down-scaling (2, 1, 2, 2) is patch=2 and strides
    [1, 2, 2], of a total stride of 8: maps of 16, 16, 8 and 4 px of a CIFAR image. The paper's for 224 px is patch=4,
    window=7, strides=[2, 2, 2]. Features are (N, 8 dim). Parameters with ten classes: 27.5 M (depths 2, 2, 6, 2; 104.7
    MiB, reported 104) and 48.8 M (2, 2, 18, 2; 186.0 MiB, reported 184).

    Differs: stochastic depth of the paper is off. A stride of 1 is a norm and a linear layer. The notes' source has no
    norm between the stages and one table of positions for all heads; here are the paper's. A window as wide as its map
    is not shifted, as in the paper's code.

    Raises:
        ValueError: an argument is out of range, or patches, windows or strides do not divide the maps.
    """
    at_least(1, dim=dim)
    steps = per_stage("strides", strides, 3, "steps between stages")
    layers, head_counts = per_stage("depths", depths, 4), per_stage("heads", heads, 4)
    hidden(dim, mlp)
    sides = _sides(size, patch, steps, window)
    stages: list[nn.Module] = []
    for i, (side, depth, count) in enumerate(zip(sides, layers, head_counts, strict=True)):
        width = dim * 2**i
        if width % count:
            raise ValueError(
                f"heads: {count} of stage {i + 1} do not divide its {width} numbers; choose others or another dim"
            )
        stage = SwinTransformerStage(
            width, width, (side, side), depth, downsample=False, num_heads=count, window_size=window, mlp_ratio=mlp
        )
        if i > 0:
            stage.downsample = _merge(steps[i - 1], width // 2, width)  # type: ignore[assignment]
        stages.append(stage)
    embed = PatchEmbed(size, patch, channels, dim, norm_layer=nn.LayerNorm, output_fmt="NHWC")
    body = Swin(embed, stages, nn.LayerNorm(8 * dim))
    model = Library(body, nn.Linear(8 * dim, classes))
    _init(model)
    write_out_attention(model)
    return model
