"""Dropout."""

from __future__ import annotations

from torch import Tensor, nn

from ablation.build import near
from ablation.types import Model, Noise, Noisy, Wrap

PLACES = ("residual", "features", "logits")


class Dropout(Noisy):
    """Each element is zeroed with probability p in training, and the others divided by 1 - p."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, ...) -> the same shape."""
        if not self.training:
            return x
        # Drawn with channels last, the usual order of x in memory: a mask in another order is slow to apply.
        kept = ~self.key.mask(self.p, *x.movedim(1, -1).shape).movedim(-1, 1)
        return x * kept / (1.0 - self.p)


def dropout(p: float = 0.1, place: str = "residual") -> Noise | Wrap:
    """Dropout (Srivastava et al. 2014) in one of three places, each element on its own.

    "residual": before the last convolution of each residual block (Zagoruyko and Komodakis 2016, 1605.07146, with 0.3
    on CIFAR). The norm after it then sees another variance in training than in evaluation (Li et al. 2018, 1801.05134).
    "features": on the pooled features before the head. "logits": after the head, as tried in the lab's notes.

    Raises:
        ValueError: an argument is out of range.
    """
    if not 0 <= p < 1:
        raise ValueError(f"p: {p} is not in [0, 1)")
    if place not in PLACES:
        raise ValueError(f"place: there is no {place!r}; {near(place, PLACES)}")
    if place == "residual":
        return Noise(drop=lambda: Dropout(p))

    def apply(model: Model) -> Model:
        layers = [Dropout(p), model.head] if place == "features" else [model.head, Dropout(p)]
        model.head = nn.Sequential(*layers)
        return model

    return Wrap(apply)
