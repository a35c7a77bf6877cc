"""Attention that several seeds can train as one batched model."""

from __future__ import annotations

from torch import Tensor, nn


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """softmax(q k' / sqrt(d)) v for (N, heads, T, d) and (N, heads, S, d) -> (N, heads, T, d).

    Written out: torch's fused attention has no rule for `torch.vmap` on a CPU, and no gradient of a learned bias there.
    """
    mixed: Tensor = (q * q.shape[-1] ** -0.5 @ k.transpose(-2, -1)).softmax(-1) @ v
    return mixed


def write_out_attention(model: nn.Module) -> None:
    """Have timm's layers compute their attention step by step too, for the same reason, in place."""
    for module in model.modules():
        if "fused_attn" in vars(module):
            vars(module)["fused_attn"] = False
