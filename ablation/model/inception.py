"""The Inception networks, with a stem for small images."""

from __future__ import annotations

from typing import NamedTuple

from timm.models.inception_resnet_v2 import InceptionResnetV2
from timm.models.inception_v3 import InceptionV3
from timm.models.inception_v4 import InceptionV4
from torch import nn

from ablation.build import near
from ablation.model._library import Library, check_size, global_means
from ablation.model._stride import lower_stride
from ablation.types import Model

ORIGINAL = 32  # the stride of all of them


class _Version(NamedTuple):
    """A class of timm's, and where it keeps its head."""

    make: type[nn.Module]
    head: str


VERSIONS = {
    "v3": _Version(InceptionV3, "fc"),
    "v4": _Version(InceptionV4, "last_linear"),
    "resnet_v2": _Version(InceptionResnetV2, "classif"),
}


def _pad(body: nn.Module) -> None:
    """Pad the convolutions that step by 1 and would shrink their maps: all of them are in the stem."""
    for conv in body.modules():
        if isinstance(conv, nn.Conv2d) and set(conv.stride) == {1} and set(conv.padding) == {0}:
            conv.padding = tuple(k // 2 for k in conv.kernel_size)


def inception(classes: int, channels: int, size: int, version: str = "v3", stride: int = 4) -> Model:
    """Inception-v3 (Szegedy et al. 2015, 1512.00567), -v4 or Inception-ResNet-v2 (2016, 1602.07261): timm's.

    `stride` is image side / side of the last map by the network's strides. 32 is the original, for 299 px, and runs
    from 75 px on. Below it the first of the stem's three strided steps are by 1 (4: all three), its poolings that would
    step by 1 are left out, and its convolutions are padded: images of 32 px have maps of 32, 15 and 7 px in the three
    stages. Images are `size` px wide and have `channels` channels. 21.8, 41.2 and 54.3 M parameters for 3 channels and
    10 classes, as timm has. Features are (N, 2048) in v3, else (N, 1536).

    Differs from the papers: no auxiliary head; the dropout before the head is `regularizer=dropout`, with place
    features. From what the published tables ran: theirs count 22.1, 41.2 and 65.3 M, for they changed widths and
    numbers of blocks. The blocks of Inception-ResNet are the library's, and so take no noise of `regularizer`.

    Raises:
        ValueError: there is no such version or stride, or the images are too small for it.
    """
    if version not in VERSIONS:
        raise ValueError(f"version: there is no {version!r}; {near(version, VERSIONS)}")
    found = VERSIONS[version]
    body = found.make(num_classes=classes, in_chans=channels, drop_rate=0.0)
    head = getattr(body, found.head)
    setattr(body, found.head, nn.Identity())
    global_means(body)
    if stride == ORIGINAL:
        check_size(body, size, channels, "use at least 75 px, or a smaller stride")
    else:
        _pad(body)
        lower_stride(body, stride, size, channels)
    return Library(body, head)
