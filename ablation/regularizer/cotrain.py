"""Divide and co-training."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ablation.types import Fill, Grad, Model, Pass, Penalty, Repeat, Step, Team, Term, Weights

_MOST = 100  # networks: of more by a slip, the list alone would fill the memory


class Cotrained(Model):
    """Several networks: in training each is given its part of the rows, in evaluation each is given all of them.

    So features and `head` speak of rows of one network each, the first network's first: of as many rows as there are
    images in training, of `splits` times as many in evaluation, where only `forward` takes the mean of the networks.
    """

    def __init__(self, nets: Sequence[Model]) -> None:
        super().__init__()
        self.head = Heads([net.head for net in nets])
        for net in nets:
            net.head = nn.Identity()  # moved, lest its weights have two names
        self.nets = nn.ModuleList(nets)

    def features(self, x: Tensor) -> Tensor:
        """Normalised images (N, C, H, W) -> (N, D), in evaluation (splits N, D)."""
        rows = x.chunk(len(self.nets)) if self.training else [x] * len(self.nets)
        return torch.cat([net.features(part) for net, part in zip(self.nets, rows, strict=True)])  # type: ignore[operator]

    def forward(self, x: Tensor) -> Tensor:
        """Normalised images (N, C, H, W) -> logits (N, K)."""
        logits: Tensor = self.head(self.features(x))
        return logits if self.training else logits.reshape(len(self.nets), len(x), -1).mean(0)


class Heads(nn.Module):
    """Each network's head, for its rows of features."""

    def __init__(self, heads: Sequence[nn.Module]) -> None:
        super().__init__()
        self.heads = nn.ModuleList(heads)

    def forward(self, features: Tensor) -> Tensor:
        """(N, D) -> (N, K)."""
        rows = features.chunk(len(self.heads))
        return torch.cat([head(part) for head, part in zip(self.heads, rows, strict=True)])


def jensen_shannon(logits: Tensor) -> Tensor:
    """Logits (S, N, K) of S networks -> (N,): entropy of their mean prediction less the mean of their entropies."""
    logs = logits.float().log_softmax(2)
    mean = logs.logsumexp(0) - math.log(len(logs))
    return (logs.exp() * (logs - mean)).sum(2).mean(0)


def cotrain(
    splits: int = 2, divide: bool = True, agreement: float = 0.5, warmup: float = 0.1333
) -> tuple[Repeat | Team | Grad | Penalty, ...]:
    """Several small networks in place of a large one, that learn together (Zhao et al. 2020, 2011.14660).

    `divide`: each of the `splits` networks has 1/sqrt(splits) of the model's width, so that together they have about
    its parameters and cost; else each is whole. Each is given its own view of every image, with augmentations of its
    own. L = sum_i CE_i + agreement JS(p_1, ..., p_S), JS = H(mean p_i) - mean H(p_i), its weight rising linearly over
    the first `warmup` of the training (40 of 300 epochs). The mean of the logits is evaluated.

    Losses are means over all rows here, of every network, and gradients are multiplied by `splits`: each network is
    trained with the gradient that it would have alone, at the same lr, and that gradient is what other regularizers
    around it are given, wherever they stand in the list: `clip` clips one norm over all networks. The loss reported is
    1/splits of the paper's.

    Differs: where augmentations mix images, whose partners differ from view to view here, the networks need only agree
    on an image as far as its targets do: JS counts by the mass that these have in common, 1 for plain labels (with
    mixup, `larger` keeps most of it; a teacher's answers, refinery's "clean" ones, differ from view to view too). The
    paper also lowers weight decay, and ShakeDrop's probability by sqrt(splits); here that is left to `optim` and
    `regularizer`. What other regularizers put on the logits or features is one for all networks, and images that they
    add are divided among these by rows.

    Raises:
        ValueError: an argument is out of range, or the model has no width to divide.
    """
    if splits != int(splits) or not 2 <= splits <= _MOST:
        raise ValueError(f"splits: {splits} is not a whole number of networks from 2 to {_MOST}")
    if not 0 <= agreement < math.inf:
        raise ValueError(f"agreement: {agreement} is not a finite number from 0 up")
    if not 0 <= warmup <= 1:
        raise ValueError(f"warmup: {warmup} is not in [0, 1]; it is a share of the training")

    splits = int(splits)

    def members(model: dict[str, Any]) -> list[dict[str, Any]]:
        if not divide:
            return [model] * splits
        if "width" not in model:
            way = f"regularizer.cotrain.divide=false trains {splits} whole networks"
            raise ValueError(f"divide: {model['_target_']} has no `width` to divide; {way}")
        return [{**model, "width": model["width"] / math.sqrt(splits)}] * splits

    def term(given: Pass) -> Tensor:
        logits, y = (rows.reshape(splits, len(rows) // splits, -1) for rows in (given.logits, given.batch.y))
        share = agreement / splits * ((given.batch.t / warmup).clamp(max=1.0) if warmup else 1.0)
        return share * (y.amin(0).sum(1) * jensen_shannon(logits)).mean()

    def attach(model: Model) -> Term:
        return term

    parts: tuple[Repeat | Team | Grad, ...] = (
        Repeat(splits),
        Team(members, Cotrained),
        Grad(_times(splits), loss=True),
    )
    return (*parts, Penalty(attach)) if agreement else parts


def _times(factor: int) -> Callable[[Fill, Weights], Fill]:
    """A wrapper of fills that multiplies the gradients."""

    def wrap(fill: Fill, weights: Weights) -> Fill:
        def multiplied() -> Step:
            step = fill()
            torch._foreach_mul_(list(weights.grads().values()), factor)
            return step

        return multiplied

    return wrap
