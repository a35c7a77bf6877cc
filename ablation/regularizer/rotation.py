"""A second head that tells rotations."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ablation.build import near
from ablation.key import Key
from ablation.regularizer._head import linears
from ablation.types import Aug, Batch, Model, Noisy, Pass, Penalty, Term

CHOICES = {"copies": ("all", "one"), "images": ("augmented", "clean"), "classes": ("upright", "rotated")}


def _square(x: Tensor) -> None:
    if x.shape[2] != x.shape[3]:
        raise ValueError(f"rotation needs square images, these are {x.shape[2]} x {x.shape[3]}; set data.size")


def turned(x: Tensor, quarters: Tensor) -> Tensor:
    """Images (N, C, S, S), each turned by so many quarters (N,) counter-clockwise."""
    out = x
    for k in range(1, 4):
        out = torch.where((quarters == k)[:, None, None, None], torch.rot90(x, k, (2, 3)), out)
    return out


def copies_of(x: Tensor, first: int = 0) -> Tensor:
    """All turned by `first` quarters, then all by one more, up to three: ((4 - first) N, C, S, S)."""
    return torch.cat([torch.rot90(x, k, (2, 3)) for k in range(first, 4)])


def _quarters(key: Key, n: int) -> Tensor:
    return key.fold("quarters").integers(4, n)


class Rotation(nn.Module):
    """The term: cross-entropy of a linear head of its own."""

    def __init__(self, features: int, weight: float, copies: str, images: str, classes: str) -> None:
        super().__init__()
        self.head = nn.Linear(features, 4)
        self.weight, self.copies, self.images, self.classes = weight, copies, images, classes

    def forward(self, given: Pass) -> Tensor:
        """One pass, and in most forms another of the turned images -> ()."""
        features = given.features if self.classes == "rotated" else self._features(given)
        quarters = _quarters(given.key, len(features))
        if self.copies == "all":
            quarters = torch.arange(4, device=features.device).repeat_interleave(len(features) // 4)
        return self.weight * F.cross_entropy(self.head(features).float(), quarters)

    def _features(self, given: Pass) -> Tensor:
        x = given.images if self.images == "augmented" else given.normalise(given.clean.x)
        _square(x)
        if self.copies == "one":
            return given.again(turned(x, _quarters(given.key, len(x))), given.key)[0]
        if self.images == "clean":
            return given.again(copies_of(x), given.key)[0]
        return torch.cat([given.features, given.again(copies_of(x, 1), given.key)[0]])  # those not turned are known


def rotation(
    weight: float = 0.5, copies: str = "all", images: str = "augmented", classes: str = "upright"
) -> Penalty | tuple[Aug, Penalty]:
    """A second linear head on the features tells by how many quarters an image was turned (Gidaris et al. 2018).

    L = CE of the classes + weight CE of the four rotations: RotNet's task (1803.07728) as an auxiliary one (Hendrycks
    et al. 2019, 1906.12340, with 0.5). Images have to be square.

    `copies`: "all" four of each image, four times the cost, or "one" drawn for each, twice the cost. `images`: the
    "augmented" ones are turned, so mixup comes before, or the "clean" ones as they are before every augmentation.
    `classes`: the labels are learnt on "upright" images only, or on "rotated" ones: then the batch itself is turned,
    after other augmentations, and there is no second pass. Goes after regularizers that change images.

    Differs: with "upright" the turned images go through a pass of their own, in which batch norms see only them; their
    running statistics follow both passes. In the lab's notes only the name of this trick is left.

    Raises:
        ValueError: an argument is out of range; when attached, the model mixes images inside or its head has no linear
            layer; and in training, the images are not square.
    """
    if not 0 <= weight < math.inf:
        raise ValueError(f"weight: {weight} is not a finite number from 0 up")
    for name, value in (("copies", copies), ("images", images), ("classes", classes)):
        if value not in CHOICES[name]:
            raise ValueError(f"{name}: there is no {value!r}; {near(value, CHOICES[name])}")
    if classes == "rotated" and images == "clean":
        raise ValueError("images: with classes=rotated there is one pass, of the augmented images; choose augmented")

    def attach(model: Model) -> Term:
        if any(isinstance(m, Noisy) and m.site for m in model.modules()):
            raise ValueError(
                "copies: this model mixes images inside (manifold_mixup), of other rotations too; leave one"
            )
        features = linears(model)[0].in_features
        return Rotation(features, weight, copies, images, classes) if weight else _nothing

    def aug(batch: Batch, key: Key) -> Batch:
        _square(batch.x)
        if copies == "one":
            return batch._replace(x=turned(batch.x, _quarters(key, len(batch.x))))
        return batch._replace(x=copies_of(batch.x), y=batch.y.repeat(4, 1))

    return (aug, Penalty(attach)) if classes == "rotated" else Penalty(attach)


def _nothing(given: Pass) -> Tensor:
    """The term of weight 0."""
    return given.logits.new_zeros(())
