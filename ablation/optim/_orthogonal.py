"""Matrices made nearly orthogonal, many at once."""

from __future__ import annotations

from collections.abc import Callable, Collection

import torch
from torch import Tensor

from ablation.types import Weights

DTYPES = {"bf16": torch.bfloat16, "fp32": torch.float32}
# Chosen by Jordan for the steepest rise at 0: singular values come to lie between about 0.7 and 1.2, not at 1.
_A, _B, _C = 3.4445, -4.7750, 2.0315
_TINY = 1e-7


def matrices(weights: Weights, outside: Collection[str]) -> set[str]:
    """The names of the weights of convolutions and linear layers, but for those with one of these parts in their path.

    Tokens and embeddings of positions, which are no layer's `weight`, are none.
    """
    stacked = 0 if weights.lanes is None else 1
    return {
        name
        for name, p in weights.params.items()
        if weights.kinds[name] == "weight" and name.endswith("weight") and p.ndim - stacked >= 2
        if not set(name.split(".")) & set(outside)
    }


def orthogonalise(
    tensors: list[Tensor], lanes: int | None, iterations: int, dtype: str, scale: Callable[[int, int], float]
) -> list[Tensor]:
    """Each tensor (O, ...), or with lanes (L, O, ...), as matrices (O, rest): orthogonal, times scale(rows, columns).

    Those of one shape are a batch: a network has few shapes and many layers.
    """
    flat = [t.reshape(1, t.shape[0], -1) if lanes is None else t.reshape(lanes, t.shape[1], -1) for t in tensors]
    alike: dict[torch.Size, list[int]] = {}
    for i, m in enumerate(flat):
        alike.setdefault(m.shape, []).append(i)
    out = list(tensors)
    for shape, places in alike.items():
        batch = newton_schulz(torch.cat([flat[i] for i in places]).to(DTYPES[dtype]), iterations)
        batch = batch.to(torch.float32) * scale(shape[1], shape[2])
        for i, m in zip(places, torch.split(batch, shape[0]), strict=True):
            out[i] = m.reshape(tensors[i].shape)
    return out


def newton_schulz(x: Tensor, iterations: int) -> Tensor:
    """Matrices (B, rows, columns) -> as many, x = U S V' -> U p(S/|S|) V' with p an iterated odd polynomial."""
    tall = x.shape[1] > x.shape[2]
    if tall:
        x = x.mT
    x = x / torch.linalg.matrix_norm(x, keepdim=True).clamp_min(_TINY)
    for _ in range(iterations):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=_B, alpha=_C), x, beta=_A)
    return x.mT if tall else x
