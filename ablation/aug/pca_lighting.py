"""PCA lighting noise."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ablation.build import near
from ablation.key import Key
from ablation.types import Aug, Batch

# The covariance of a data set's RGB pixels in [0, 1]: its eigenvalues, and its eigenvectors as columns.
BASES = {
    # As printed by the usual training scripts for ImageNet.
    "imagenet": (
        (0.2175, 0.0188, 0.0045),
        ((-0.5675, 0.7192, 0.4009), (-0.5808, -0.0045, -0.8140), (-0.5836, -0.6948, 0.4203)),
    ),
    # Of all 51.2 million pixels of CIFAR-10's 50000 training images.
    "cifar10": (
        (0.171911, 0.013929, 0.002899),
        ((-0.557994, -0.706345, 0.435568), (-0.577479, -0.046428, -0.815084), (-0.595954, 0.706343, 0.381993)),
    ),
}


def pca_lighting(sigma: float = 0.1, basis: str | Sequence[Sequence[float]] = "imagenet") -> Aug:
    """Shift an image's colours along the principal axes of the data set's (Krizhevsky et al. 2012, AlexNet, section 4).

    Every pixel of an image gets the same shift V diag(l) a, with l and V the eigenvalues and eigenvectors of the
    covariance of RGB pixels and a ~ N(0, sigma^2) in three directions, drawn once an image.

    The basis is that of "imagenet", of "cifar10" (computed from its training pixels), or your own: the covariance
    itself, three rows of three numbers, for pixels in [0, 1].

    Differs: colours that leave [0, 1] are cut off there, as in code that works on bytes; others let them out.

    Raises:
        ValueError: an argument is out of range, or the images are not RGB.
    """
    if not 0 <= sigma < math.inf:
        raise ValueError(f"sigma: {sigma} is not a finite number from 0 up")
    axes = _axes(basis)

    def apply(batch: Batch, key: Key) -> Batch:
        n, c = batch.x.shape[:2]
        if c != 3:
            raise ValueError(f"basis: pca_lighting is for RGB images, these have {c} channels; leave it out")
        if sigma == 0:
            return batch
        drawn = sigma * key.fold("direction").normal(n, 3)
        # Sums by plain numbers: a tensor of them would be copied to the device each step.
        shift = torch.stack([_weighted(drawn, weights) for weights in zip(*axes, strict=True)], 1)
        return batch._replace(x=(batch.x + shift[:, :, None, None]).clamp(0, 1))

    return apply


def _weighted(drawn: Tensor, weights: Sequence[float]) -> Tensor:
    """(N, 3) -> (N,), the columns' sum with these weights."""
    one, two, three = drawn.unbind(1)
    return one * weights[0] + two * weights[1] + three * weights[2]


def _axes(basis: str | Sequence[Sequence[float]]) -> list[list[float]]:
    """The principal axes as vectors of RGB, each as long as its eigenvalue."""
    if isinstance(basis, str):
        if basis not in BASES:
            raise ValueError(f"basis: there is no {basis!r}; {near(basis, BASES)}, or a 3 x 3 covariance")
        values, vectors = (torch.tensor(part, dtype=torch.float64) for part in BASES[basis])
    else:
        if not isinstance(basis, Sequence) or [isinstance(row, Sequence) and len(row) for row in basis] != [3, 3, 3]:
            raise ValueError(f"basis: {basis} is not three rows of three numbers, the covariance of RGB")
        covariance = torch.tensor([[float(v) for v in row] for row in basis], dtype=torch.float64)
        if not torch.equal(covariance, covariance.T):
            raise ValueError(f"basis: {basis} is not symmetric, so not a covariance")
        values, vectors = torch.linalg.eigh(covariance)
        if values[0] < -1e-9:
            raise ValueError(f"basis: {basis} has the eigenvalue {float(values[0]):.3g}, so it is not a covariance")
    scaled: list[list[float]] = (vectors * values).T.tolist()
    return scaled
