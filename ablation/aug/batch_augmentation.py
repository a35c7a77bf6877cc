"""Batch augmentation."""

from __future__ import annotations

from ablation.aug._draw import whole
from ablation.types import Repeat


def batch_augmentation(times: int = 4) -> Repeat:
    """Each image enters the batch so many times, each time augmented anew (Hoffer et al. 2019, 1901.09335).

    The batch has `times` copies of its images, each with a crop, flip and augmentations of its own, and the loss is the
    mean over all rows: the gradient varies less, at `times` the cost of a step. An epoch still has every image once, so
    that the number of steps and the schedule stay. Batch norms take the statistics of all copies together. times 1
    changes nothing.

    Raises:
        ValueError: `times` is not a whole number from 1 to 1000.
    """
    return Repeat(whole("times", times, 1, "1 changes nothing"))
