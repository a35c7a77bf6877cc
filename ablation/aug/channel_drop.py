"""Channel drop."""

from __future__ import annotations

from ablation.aug._draw import whole
from ablation.key import Key
from ablation.types import Aug, Batch


def channel_drop(most: int = 2) -> Aug:
    """Set k of an image's colour channels to zero, k uniform on 0..most, drawn for each image (lab notes, 2019-2020).

    An image stays as it is with probability 1 / (most + 1). Test images are untouched. The notes have no paper for it;
    the nearest is SpatialDropout (Tompson et al. 2015, 1411.4280), which drops feature maps and rescales the rest.

    Raises:
        ValueError: `most` is not a whole number from 0 to 1000.
    """
    most = whole("most", most, 0, "it is the largest number of channels to drop, 0 changes nothing")

    def apply(batch: Batch, key: Key) -> Batch:
        n, c = batch.x.shape[:2]
        count = key.fold("count").integers(most + 1, n, 1)
        rank = key.fold("channel").bits(n, c).argsort(1).argsort(1)
        return batch._replace(x=batch.x * (rank >= count)[:, :, None, None])

    return apply
