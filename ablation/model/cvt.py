"""CvT: a transformer of three stages whose queries, keys and values come from convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor, nn

from ablation.build import near
from ablation.model._attention import attend
from ablation.model._numbers import at_least, divides, hidden, per_stage
from ablation.types import Model

POOLS = ("mean", "token")


def to_maps(tokens: Tensor) -> Tensor:
    """(N, H W, C) -> (N, C, H, W), of a square map."""
    side = round(tokens.shape[1] ** 0.5)
    return tokens.transpose(1, 2).reshape(len(tokens), -1, side, side)


def to_tokens(maps: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, H W, C)."""
    return maps.flatten(2).transpose(1, 2)


class Projection(nn.Module):
    """Depthwise 3x3 convolution and batch norm of the map, then a linear layer; a class token has the last alone."""

    def __init__(self, dim: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(dim, dim, 3, stride, 1, groups=dim, bias=False)
        self.norm = nn.BatchNorm2d(dim)
        self.linear = nn.Linear(dim, dim)

    def forward(self, maps: Tensor, token: Tensor | None) -> Tensor:
        """(N, C, H, W) and (N, 1, C) -> (N, T, C)."""
        tokens = to_tokens(self.norm(self.conv(maps)))
        out: Tensor = self.linear(tokens if token is None else torch.cat([token, tokens], 1))
        return out


class Attention(nn.Module):
    """Heads of attention between the projections."""

    def __init__(self, dim: int, heads: int, kv_stride: int) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v = (Projection(dim, stride) for stride in (1, kv_stride, kv_stride))
        self.out = nn.Linear(dim, dim)

    def forward(self, tokens: Tensor, token: bool) -> Tensor:
        """(N, T, C), the first of which is a class token if `token` says so -> (N, T, C)."""
        first, maps = (tokens[:, :1], to_maps(tokens[:, 1:])) if token else (None, to_maps(tokens))
        q, k, v = (
            project(maps, first).unflatten(2, (self.heads, -1)).transpose(1, 2) for project in (self.q, self.k, self.v)
        )
        out: Tensor = self.out(attend(q, k, v).transpose(1, 2).flatten(2))
        return out


class Layer(nn.Module):
    """Attention and an MLP, each on a norm of its input and added to it."""

    def __init__(self, dim: int, heads: int, hidden: int, kv_stride: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attention = Attention(dim, heads, kv_stride)
        self.mlp = nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, dim))

    def forward(self, tokens: Tensor, token: bool) -> Tensor:
        """(N, T, C) -> (N, T, C)."""
        tokens = tokens + self.attention(self.norm1(tokens), token)
        out: Tensor = tokens + self.mlp(self.norm2(tokens))
        return out


class Stage(nn.Module):
    """Tokens made by a strided convolution, and layers. With a class token, that is the first of the tokens."""

    def __init__(self, embed: nn.Conv2d, layers: list[Layer], token: bool) -> None:
        super().__init__()
        dim = embed.out_channels
        self.embed, self.norm, self.layers = embed, nn.LayerNorm(dim), nn.ModuleList(layers)
        self.token = nn.Parameter(nn.init.trunc_normal_(torch.empty(1, 1, dim), std=0.02)) if token else None

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, T, C')."""
        tokens: Tensor = self.norm(to_tokens(self.embed(maps)))
        if self.token is not None:
            tokens = torch.cat([self.token.expand(len(tokens), -1, -1), tokens], 1)
        for layer in self.layers:
            tokens = layer(tokens, self.token is not None)
        return tokens


class CvT(Model):
    """Stages, norm, and the class token or the mean of the tokens."""

    def __init__(self, stages: list[Stage], head: nn.Linear) -> None:
        super().__init__()
        self.stages, self.norm, self.head = nn.ModuleList(stages), nn.LayerNorm(head.in_features), head
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.02)
                nn.init.zeros_(layer.bias)

    def features(self, x: Tensor) -> Tensor:
        """Normalised images (N, C, H, W) -> features (N, D)."""
        *before, last = self.stages
        for stage in before:
            x = to_maps(stage(x))
        tokens: Tensor = self.norm(last(x))
        return tokens.mean(1) if last.token is None else tokens[:, 0]


def cvt(
    classes: int,
    channels: int,
    size: int,
    dims: Sequence[int] = (64, 192, 384),
    depths: Sequence[int] = (1, 2, 10),
    heads: Sequence[int] = (1, 3, 6),
    strides: Sequence[int] = (4, 2, 2),
    kernel: int = 3,
    kv_stride: int = 2,
    mlp: float = 4.0,
    pool: str = "mean",
) -> Model:
    """CvT (Wu et al. 2021, 2103.15808), by default CvT-13 as the lab's notes had it for CIFAR.

    Each stage makes tokens of `dims` numbers by a convolution that steps by `strides` (of `kernel` px in the first, 3
    in the others) and a layer norm; `depths` layers of attention and MLP follow. Queries, keys and values are depthwise
    3x3 convolutions of the map with a batch norm, then linear layers; those of keys and values step by `kv_stride`.
    There are no positions. Classified is the mean of the tokens ("mean", the notes) or a class token of the last stage
    ("token", the paper). Features are (N, dims[-1]), normalised. The paper's for 224 px is kernel=7, pool=token: 20.0 M
    parameters; with ten classes 19.6 M, 74.9 MiB, where the notes have 75.

    At a total stride of 16 the last maps of a CIFAR image are of 2 x 2 px, and one key is left of them: with the mean,
    attention in ten of thirteen layers has no choice. kv_stride=1 or strides=[2,2,2] gives it one.

    Differs: dropout and stochastic depth of the paper are off. The notes' source has one depthwise convolution for keys
    and values together, projections without biases, and no norm after the last layer.

    Raises:
        ValueError: an argument is out of range, or the images are smaller than one step of the last map.
    """
    widths, counts = per_stage("dims", dims, 3), per_stage("heads", heads, 3)
    layers, steps = per_stage("depths", depths, 3), per_stage("strides", strides, 3)
    at_least(1, kernel=kernel, kv_stride=kv_stride)
    if pool not in POOLS:
        raise ValueError(f"pool: there is no {pool!r}; {near(pool, POOLS)}")
    if kernel % 2 == 0:
        raise ValueError(f"kernel: {kernel} is even; nearest are {kernel - 1} and {kernel + 1}")
    if size < prod(steps):
        raise ValueError(
            f"strides: {steps} need images of at least {prod(steps)} px, these have {size}; use smaller ones"
        )
    for width, count in zip(widths, counts, strict=True):
        divides("heads", count, width, "a stage's numbers")
    stages: list[Stage] = []
    inside = channels
    for i, width in enumerate(widths):
        span = kernel if i == 0 else 3
        embed = nn.Conv2d(inside, width, span, steps[i], span // 2)
        inner = [Layer(width, counts[i], hidden(width, mlp), kv_stride) for _ in range(layers[i])]
        stages.append(Stage(embed, inner, token=pool == "token" and i == 2))
        inside = width
    return CvT(stages, nn.Linear(inside, classes))
