"""Which images: subsets and held-out images, stratified or in file order. Pure functions of labels, amount and key."""

from __future__ import annotations

import torch
from torch import Tensor

from ablation.data.check import Amount
from ablation.key import Key


def quotas(sizes: Tensor, count: int) -> Tensor:
    """Share `count` out over classes of these sizes by largest remainder (Hamilton): exact total, each within one.

    Args:
        sizes: int64 (K,).
        count: at most the sum of sizes.

    Returns:
        int64 (K,), each at most the class's size.
    """
    total = int(sizes.sum())
    share, remainder = sizes * count // total, sizes * count % total
    short = count - int(share.sum())
    share[torch.argsort(remainder, descending=True, stable=True)[:short]] += 1
    return share


def stratified(y: Tensor, count: int, key: Key) -> Tensor:
    """Positions of `count` random images with the class proportions of y kept to within one image.

    Args:
        y: int64 (n,), labels.
        count: in [0, n].
        key: the draw.

    Returns:
        int64 (count,), ascending.
    """
    order = key.permutation(len(y))
    order = order[torch.argsort(y[order], stable=True)]  # by class, at random within a class
    sizes = torch.bincount(y)
    rank = torch.arange(len(y)) - (sizes.cumsum(0) - sizes)[y[order]]
    return order[rank < quotas(sizes, count)[y[order]]].sort().values


def subset(y: Tensor, amount: Amount | None, key: Key) -> Tensor:
    """Positions (ascending int64) of the images that an amount asks for; all of them for None."""
    count = len(y) if amount is None else amount.of(len(y))
    if amount is None or amount.first:
        return torch.arange(count)
    return stratified(y, count, key)


def hold_out(y: Tensor, amount: Amount | None, key: Key) -> tuple[Tensor, Tensor | None]:
    """Positions (ascending int64) to train on, and those held out if any.

    Raises:
        ValueError: nothing would be left, or nothing held out.
    """
    if amount is None:
        return torch.arange(len(y)), None
    count = amount.of(len(y))
    if count == len(y):
        raise ValueError(f"val: {amount.much} holds out all {count} training images; hold out fewer")
    held = stratified(y, count, key)
    rest = torch.ones(len(y), dtype=torch.bool)
    rest[held] = False
    return rest.nonzero().flatten(), held
