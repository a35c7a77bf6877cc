"""Keeps models from a kernel of oneDNN, torch's library for processors, that writes beyond its memory.

The gradient of the weights of a 1x1 convolution with a stride, in channels-last, is computed on a copy of those pixels
that the stride leaves. For fewer input channels than the processor takes at a time (8 with AVX2, 16 with AVX-512) the
copy is larger than the memory set aside for it: the heap is damaged, and the process dies or trains on
(https://github.com/uxlfoundation/oneDNN/issues/6035; `docs/troubleshooting.md` has a reproduction).

The kernel is chosen only where the stride divides the image's sides. No output of a 1x1 convolution reads the pixels
after the last one that its stride meets, so they are cut off: the same numbers, by another kernel, in every memory
format, under `torch.vmap` and compiled.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

_AT_A_TIME = 16  # channels, at most


def guard(model: nn.Module) -> None:
    """Change the convolutions of a model that would reach the kernel so that they do not; others are left as they are.

    Raises:
        ValueError: a transposed convolution would reach it, whose result is larger than what it computes.
    """
    for path, layer in model.named_modules():
        if not isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) or not _strides_over_pixels(layer):
            continue
        if isinstance(layer, nn.Conv2d) and layer.in_channels < _AT_A_TIME:
            layer.register_forward_pre_hook(_cut)
        if isinstance(layer, nn.ConvTranspose2d) and layer.out_channels < _AT_A_TIME and any(layer.output_padding):
            raise ValueError(
                f"layer {path}: a transposed 1x1 convolution with a stride, an output padding and fewer than "
                f"{_AT_A_TIME} output channels damages the memory of the process on a CPU; use an interpolation and a "
                "1x1 convolution"
            )


def _strides_over_pixels(layer: nn.Conv2d | nn.ConvTranspose2d) -> bool:
    unpadded = layer.padding == "valid" or set(layer.padding) == {0}
    return set(layer.kernel_size) == {1} and unpadded and layer.groups == 1 and max(layer.stride) > 1


def _cut(layer: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...] | None:
    x: Tensor = inputs[0]
    if x.device.type != "cpu":
        return None
    assert isinstance(layer, nn.Conv2d)
    height, width = ((side - 1) // stride * stride + 1 for side, stride in zip(x.shape[-2:], layer.stride, strict=True))
    return (x[..., :height, :width], *inputs[1:])
