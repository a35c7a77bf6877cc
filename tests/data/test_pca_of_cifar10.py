"""The colour axes kept for CIFAR-10 are those of its training pixels."""

from __future__ import annotations

from pathlib import Path

import torch

from ablation.aug.pca_lighting import BASES
from ablation.data.cifar10 import cifar10


def test_axes_of_cifar10(cifar_root: Path) -> None:
    x = cifar10(root=str(cifar_root), download=False).train.x.reshape(-1, 3)
    values, vectors = (torch.tensor(part).double() for part in BASES["cifar10"])
    sums, products = torch.zeros(3).double(), torch.zeros(3, 3).double()
    for part in x.split(1 << 22):
        pixels = part.double() / 255
        sums, products = sums + pixels.sum(0), products + pixels.T @ pixels
    mean = sums / len(x)
    covariance = products / len(x) - mean[:, None] * mean
    torch.testing.assert_close(vectors @ values.diag() @ vectors.T, covariance, atol=1e-6, rtol=0)
