"""Gaussian noise."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ablation.aug._draw import between, check_probability, check_span
from ablation.key import Key
from ablation.types import Aug, Batch


def gaussian_noise(sigma: Sequence[float] = (0.0, 0.1), p: float = 1.0) -> Aug:
    """Add independent N(0, s^2) to every pixel and channel of an image in [0, 1], with probability p.

    One s an image, uniform in `sigma`, so that clean images are seen too; equal ends are one fixed strength. Noise on
    the inputs is an old regulariser (Sietsma & Dow 1991; Bishop 1995: to second order a Tikhonov penalty), and on
    images buys robustness (Ford et al. 2019, 1901.10513). Values that leave [0, 1] are cut off there, as in
    torchvision's `GaussianNoise`.

    Raises:
        ValueError: an argument is out of range.
    """
    check_span("sigma", sigma)
    check_probability("p", p)

    def apply(batch: Batch, key: Key) -> Batch:
        if p == 0 or sigma[1] == 0:
            return batch
        n, c, h, w = batch.x.shape
        s = between(key.fold("sigma"), sigma, n) * key.fold("apply").bernoulli(p, n)
        noise = _normal(key.fold("pixel"), n * h * w * c).reshape(n, h, w, c).permute(0, 3, 1, 2)
        return batch._replace(x=torch.addcmul(batch.x, noise, s[:, None, None, None]).clamp(0, 1))

    return apply


def _normal(key: Key, count: int) -> Tensor:
    """As many standard normal numbers: both of each pair of Box and Muller, half the work of `key.normal`."""
    half = -(-count // 2)
    radius = torch.sqrt(-2.0 * torch.log1p(-key.fold("radius").uniform(half)))
    angle = 2.0 * math.pi * key.fold("angle").uniform(half)
    return torch.cat([radius * torch.cos(angle), radius * torch.sin(angle)])[:count]
