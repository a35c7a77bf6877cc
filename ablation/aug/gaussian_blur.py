"""Gaussian blur."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ablation.aug._draw import between, check_probability, check_span, whole
from ablation.constant import kept, places
from ablation.key import Key
from ablation.types import Aug, Batch

_TENTH = 20  # pixels of the image's side for one of the kernel's radius: SimCLR's kernel is a tenth of the side
_ODD = "it is an odd number of pixels, or null for a tenth of the image"


def gaussian_blur(sigma: Sequence[float] = (0.1, 2.0), p: float = 0.5, size: int | None = None) -> Aug:
    """Blur an image with a Gaussian of standard deviation s pixels, with probability p (Chen et al. 2020, 2002.05709).

    One s an image, uniform in `sigma`. The kernel is size x size pixels, cut off there and normalised, and the image
    is mirrored at its edges, as in torchvision's `GaussianBlur`. Without a size it is the odd number nearest to a tenth
    of the shorter side, 3 for 32 pixels and 23 for 224 (SimCLR).

    Raises:
        ValueError: an argument is out of range.
    """
    check_span("sigma", sigma, least=1e-3)
    check_probability("p", p)
    if size is not None and whole("size", size, 1, _ODD) % 2 == 0:
        raise ValueError(f"size: {size} is even; {_ODD}")

    def apply(batch: Batch, key: Key) -> Batch:
        if p == 0 or size == 1:
            return batch
        n, _, h, w = batch.x.shape
        radius = max(1, min(h, w) // _TENTH) if size is None else int(size) // 2
        s = between(key.fold("sigma"), sigma, n)
        offsets = places(radius + 1, s.device)
        weights = torch.exp(-0.5 * (offsets / s[:, None]) ** 2)
        weights = weights / (2 * weights.sum(1, keepdim=True) - 1)
        chosen = key.fold("apply").bernoulli(p, n)[:, None]
        # One tap alone is the image itself, bit for bit: the images that are left as they are.
        weights = torch.where(chosen, weights, (offsets == 0).to(weights.dtype))
        flat = batch.x.permute(0, 2, 3, 1)
        return batch._replace(x=_along(_along(flat, 1, weights), 2, weights).permute(0, 3, 1, 2).clamp(0, 1))

    return apply


def _along(x: Tensor, axis: int, weights: Tensor) -> Tensor:
    """Images (N, H, W, C) convolved along an axis with symmetric kernels (N, radius + 1), from the middle outwards."""
    length = x.shape[axis]
    out = x * weights[:, 0, None, None, None]
    for k in range(1, weights.shape[1]):
        before, after = (x.index_select(axis, _mirrored(length, by, x.device)) for by in (-k, k))
        pair = before + after
        out = torch.addcmul(out, pair, weights[:, k, None, None, None])
    return out


@kept
def _mirrored(length: int, by: int, device: torch.device) -> Tensor:
    """Every position plus `by`; beyond the ends it is mirrored at the first and last pixel as often as it takes."""
    period = max(2 * (length - 1), 1)
    position = places(length, device, start=by) % period
    return torch.minimum(position, period - position)
