"""Manifold mixup."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ablation.constant import places
from ablation.key import Key
from ablation.model.block import residual_blocks
from ablation.types import Aug, Batch, Model, Noisy, Wrap


class Draw(NamedTuple):
    """Of one step, the same wherever it is drawn."""

    layer: Tensor  # (1,) int64, which of the eligible layers mixes
    lam: Tensor  # (1,)
    partner: Tensor  # (N,) int64


class Mixing:
    """What the layers and the targets have in common."""

    def __init__(self, alpha: float, layers: int) -> None:
        self.alpha, self.layers = alpha, layers
        self.rows: int | None = None  # of the batch whose targets were mixed

    def draw(self, key: Key, n: int) -> Draw:
        """A layer, a share and an order of n rows."""
        layer, lam = key.fold("layer").integers(self.layers, 1), key.fold("lam").beta(self.alpha, self.alpha, 1)
        return Draw(layer, lam, key.fold("partner").permutation(n))

    def mixed(self, x: Tensor, key: Key, number: int) -> Tensor:
        """(M, C, H, W), mixed if the draw falls on this layer.

        M is a multiple of the rows whose targets were mixed: each part of that many is mixed alike.
        """
        rows = self.rows or len(x)
        if len(x) % rows:
            raise ValueError(
                f"manifold_mixup mixed the targets of {rows} rows, and the model is given {len(x)}; list it after "
                "whatever changes the number of rows"
            )
        layer, lam, partner = self.draw(key, rows)
        parts = places(len(x) // rows, x.device, step=rows)
        # lerp(a, b, 1) is b, bit for bit.
        share = torch.where(layer == number, lam, 1.0).to(x.dtype)[:, None, None, None]
        others = x.movedim(1, -1).index_select(0, (parts[:, None] + partner).flatten()).movedim(-1, 1)
        return torch.lerp(others, x, share)


class Mix(Noisy):
    """Mixes what a block returns, in training."""

    site = "manifold_mixup"

    def __init__(self, mixing: Mixing, number: int) -> None:
        super().__init__()
        self.mixing, self.number = mixing, number

    def after(self, block: nn.Module, given: Any, out: Tensor) -> Tensor:
        """A forward hook: a method, so that it goes along when the model is copied."""
        return self.mixing.mixed(out, self.key, self.number) if self.training else out


def manifold_mixup(alpha: float = 2.0, layers: Sequence[float] = (0.0, 1 / 3, 2 / 3)) -> tuple[Wrap, Aug]:
    """Mixup of the feature maps after a layer drawn for each batch (Verma et al. 2018, 1806.05236).

    h' = lam h + (1 - lam) h[partner] for the layer drawn from `layers`, and the targets likewise, with lam ~
    Beta(alpha, alpha) and partner a random permutation of the batch: one of each a step. Gradients go through both.
    `layers` are shares of the model's depth in residual blocks: 0 is the images, 1/3 the maps after a third of the
    blocks, which in the 6n+2 layers of `resnet_cifar` is the end of the first stage. The paper's PreActResNet18 takes
    the images or the maps after its first or second of four stages: [0, 0.25, 0.5] of `preact_resnet18`. [0] alone is
    mixup. alpha 0 changes nothing. Goes after other regularizers that change images. A teacher's answers are mixed as
    these targets are only where they take the labels' place before (`loss=refinery` with `mixed` "clean").

    Raises:
        ValueError: an argument is out of range; and when applied, the model has no residual blocks, or is several.
    """
    if not 0 <= alpha < float("inf"):
        raise ValueError(f"alpha: {alpha} is not a finite number from 0 up")
    if not layers or not all(0 <= share <= 1 for share in layers):
        raise ValueError(f"layers: {list(layers)} are not shares of the depth in [0, 1], at least one")
    mixing = Mixing(alpha, len(layers))
    inside = [(number, share) for number, share in enumerate(layers) if share > 0 and alpha > 0]

    def apply(model: Model) -> Model:
        if not inside:
            return model
        if any(isinstance(m, Mix) for m in model.modules()):
            raise ValueError("layers: this model mixes its maps already; leave one, or take layers=[0] for this one")
        blocks = residual_blocks(model)
        if not blocks:
            raise ValueError("layers: this model has no residual blocks that can be found; layers=[0] mixes the images")
        if any(isinstance(m, Model) for m in model.modules() if m is not model):
            raise ValueError("layers: several models, each with rows of its own, are not mixed inside; take layers=[0]")
        mixes = [Mix(mixing, number) for number, _ in inside]
        for mix, (_, share) in zip(mixes, inside, strict=True):
            blocks[max(round(share * len(blocks)), 1) - 1].register_forward_hook(mix.after)
        model.add_module("manifold_mixup", nn.ModuleList(mixes))
        return model

    def aug(batch: Batch, key: Key) -> Batch:
        if alpha == 0:
            return batch
        mixing.rows = len(batch.x)
        _, lam, partner = mixing.draw(key, mixing.rows)
        x = batch.x
        for number, share in enumerate(layers):
            x = x if share else mixing.mixed(x, key, number)
        return batch._replace(x=x, y=torch.lerp(batch.y.index_select(0, partner), batch.y, lam[:, None]))

    return Wrap(apply), aug
