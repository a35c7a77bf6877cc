"""What all optimisers share: which parameters are decayed, and how fast each learns."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from typing import Any

from ablation.optim._arguments import from_zero, known, positive
from ablation.optim._depth import depths
from ablation.types import Weights

EXEMPTIONS = ("bias", "norm")
SCALINGS = ("none", "linear", "sqrt")
Group = dict[str, Any]
Mark = Callable[[str], Group]  # parameter name -> what its group has beside; "lr" there is before any scaling


def scaled(lr: float, batch_size: int, lr_scaling: str, lr_batch: int) -> float:
    """The learning rate for this batch size, if `lr` is that of a batch of `lr_batch`.

    "linear": lr batch_size/lr_batch, keeping the step per image (Goyal et al. 2017, 1706.02677; there the reference is
    256); "sqrt": lr sqrt(batch_size/lr_batch), keeping the variance of the step (Krizhevsky 2014, 1404.5997); "none".

    Raises:
        ValueError: there is no such scaling, or a bad reference.
    """
    known([lr_scaling], SCALINGS, "lr_scaling")
    positive(lr_batch=lr_batch)
    ratio = batch_size / lr_batch
    return {"none": lr, "linear": lr * ratio, "sqrt": lr * math.sqrt(ratio)}[lr_scaling]


def exempts(weights: Weights, kinds: Collection[str], argument: str) -> Callable[[str], bool]:
    """Whether a parameter is of these kinds: "bias" is every bias, that of a normalisation (beta) too, and what
    a transformer adds alike: positions and tokens (`state.kinds`); "norm" is both of a normalisation's parameters
    (gamma and beta).

    Raises:
        ValueError: an unknown kind; names the argument.
    """
    known(kinds, EXEMPTIONS, argument)
    return lambda name: weights.kinds[name] in kinds or ("bias" in kinds and name.endswith("bias"))


def grouped(
    weights: Weights,
    batch_size: int,
    *,
    lr: float,
    weight_decay: float,
    no_decay: Collection[str],
    layer_decay: float,
    lr_scaling: str,
    lr_batch: int,
    mark: Mark = lambda name: {},
) -> tuple[list[Group], float]:
    """Parameter groups for a torch optimiser, each with its learning rate and decay, and the head's learning rate.

    `no_decay` names kinds that are not decayed, as of `exempts`. No bias decay: Jia et al. 2018, 1807.11205; in He et
    al. 2018 (1812.01187) it is both. With `layer_decay` d below 1, a parameter d' units from the output learns at
    lr d^d' (Howard & Ruder 2018, 1801.06146; the units: `_depth.py`). A schedule multiplies every group's rate alike.

    Raises:
        ValueError: an argument is out of range.
    """
    positive(lr=lr)
    from_zero(weight_decay=weight_decay)
    if not 0 < layer_decay <= 1:
        raise ValueError(f"layer_decay: {layer_decay} is not in (0, 1]; 1 is none")
    exempt = exempts(weights, no_decay, "no_decay")
    depth = depths({name: weights.kinds[name] for name in weights.params}) if layer_decay < 1 else {}
    found: dict[tuple[Any, ...], Group] = {}
    for name, p in weights.params.items():
        options = {"lr": lr, **mark(name)}
        order = (options["lr"] != lr, exempt(name), depth.get(name, 0))
        rate = scaled(options["lr"], batch_size, lr_scaling, lr_batch) * layer_decay ** order[-1]
        options |= {"lr": rate, "weight_decay": 0.0 if exempt(name) else weight_decay}
        found.setdefault((order, *options.items()), {"params": [], **options})["params"].append(p)
    # The first group's rate is the one that journals show; then the decayed, which is the order that checkpoints know.
    return [found[key] for key in sorted(found, key=lambda key: key[0])], scaled(lr, batch_size, lr_scaling, lr_batch)
