"""The vision transformer, for images of any size."""

from __future__ import annotations

from timm.models.vision_transformer import VisionTransformer
from torch import nn

from ablation.build import near
from ablation.model._attention import write_out_attention
from ablation.model._library import Library
from ablation.model._numbers import at_least, divides, hidden
from ablation.types import Model

POOLS = {"token": "token", "mean": "avg"}  # ours -> timm's


def vit(
    classes: int,
    channels: int,
    size: int,
    patch: int = 4,
    dim: int = 384,
    depth: int = 7,
    heads: int = 8,
    mlp: float = 4.0,
    pool: str = "token",
) -> Model:
    """Vision transformer (Dosovitskiy et al. 2020, 2010.11929): timm's, by default the small one of the lab's notes.

    Images of `size` px are cut into patches of `patch` x `patch` px (4: 64 patches of a CIFAR image), which become
    tokens of `dim` numbers with a learned position each; `depth` layers of attention with `heads` heads and of an MLP
    `mlp` times as wide follow. What is classified is a class token ("token") or the mean of the patches ("mean");
    features are (N, dim), normalised. The default has 12.5 M parameters with ten classes, 47.6 MiB as reported.

    Differs: dropout of the original is off (`regularizer=dropout` with place=features has it before the head). Weights
    start as timm's, truncated normal of std 0.02, where the notes' source has PyTorch's own start and positions of std
    1. That source also divides attention's scores by sqrt(dim) instead of a head's sqrt(48) and has a second GELU after
    each MLP: not here, and a reason why its network may not have fitted.

    Raises:
        ValueError: an argument is out of range, the patches do not fill the image, or the heads not the tokens.
    """
    at_least(1, depth=depth, dim=dim, heads=heads)
    divides("patch", patch, size, "the image's side")
    divides("heads", heads, dim, "dim")
    hidden(dim, mlp)
    if pool not in POOLS:
        raise ValueError(f"pool: there is no {pool!r}; {near(pool, POOLS)}")
    net = VisionTransformer(
        img_size=size,
        patch_size=patch,
        in_chans=channels,
        num_classes=classes,
        embed_dim=dim,
        depth=depth,
        num_heads=heads,
        mlp_ratio=mlp,
        class_token=pool == "token",
        global_pool=POOLS[pool],  # type: ignore[arg-type]  # one of its literals
    )
    head, net.head = net.head, nn.Identity()
    write_out_attention(net)
    return Library(net, head)
