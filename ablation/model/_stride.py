"""The strides of a library's network, lowered for small images."""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd, prod

from torch import Tensor, nn

from ablation.model._library import check_size, on_meta, replace

PROBE = 1024  # px: so large that paddings and unpadded convolutions hardly change the ratios of the maps' sides


@dataclass(frozen=True)
class _Seen:
    """A convolution or a pooling, as it worked on a probe."""

    layer: nn.Module
    inside: int  # px, side of the maps that it was given
    out: int
    step: int  # its stride


def _strided(layer: nn.Module) -> int | None:
    """The stride of a convolution or a pooling (also a library's own kind), None of another layer."""
    stride = getattr(layer, "stride", None)
    if isinstance(stride, tuple | list) and len(set(stride)) == 1:
        stride = stride[0]
    return stride if isinstance(stride, int) and stride > 0 else None


def _look(model: nn.Module, channels: int) -> list[_Seen]:
    seen: list[_Seen] = []

    def hook(layer: nn.Module, args: tuple[Tensor, ...], out: Tensor) -> None:
        step = _strided(layer)
        if step and args and isinstance(out, Tensor) and args[0].ndim == out.ndim == 4:
            seen.append(_Seen(layer, args[0].shape[-1], out.shape[-1], step))

    handles = [m.register_forward_hook(hook) for m in model.modules() if not any(m.children())]
    try:
        on_meta(model, (1, channels, PROBE, PROBE))
    except (RuntimeError, AssertionError, ValueError, IndexError) as e:
        raise ValueError("stride: this network takes images of one size only; leave it null") from e
    finally:
        for handle in handles:
            handle.remove()
    return seen


def _stages(seen: list[_Seen]) -> list[list[_Seen]]:
    """The layers that lower the resolution, by the resolution that they work at: parallel branches are together."""
    stages: list[list[_Seen]] = []
    for one in sorted((s for s in seen if s.step > 1 and s.inside > 1), key=lambda s: -s.inside):
        if stages and stages[-1][0].inside < 1.25 * one.inside:
            stages[-1].append(one)
        else:
            stages.append([one])
    return stages


def _total(seen: list[_Seen], stages: list[list[_Seen]]) -> int:
    total = prod(stage[0].step for stage in stages)
    alike = all(len({s.step for s in stage}) == 1 for stage in stages)
    last = min((s.out for s in seen if s.out > 1), default=PROBE)  # one pixel: a gate's mean over the map
    if not alike or not 0.8 < PROBE / last / total < 1.25:
        raise ValueError("stride: not only this network's convolutions and poolings set its resolution; leave it null")
    return total


def own_stride(model: nn.Module, channels: int) -> int:
    """Image side / side of the last map, as the network is.

    Raises:
        ValueError: other layers than convolutions and poolings change the resolution, or strides that differ.
    """
    seen = _look(model, channels)
    return _total(seen, _stages(seen))


def lower_stride(model: nn.Module, stride: int, size: int, channels: int) -> None:
    """Make image side / side of the last map equal to `stride`: the first strided layers step by 1, in place.

    Layers in parallel branches, which work at one resolution, change together. A pooling that would step by 1 is left
    out. A convolution keeps its kernel, and is padded if it else would shrink its maps; one that cuts patches (kernel
    = stride) cuts smaller ones. A stride of 4 may become 2.

    Raises:
        ValueError: the network has no such stride, or not by this means, or images of `size` px are too small for it.
    """
    seen = _look(model, channels)
    stages = _stages(seen)
    total, steps = _total(seen, stages), [stage[0].step for stage in stages]
    valid = {prod(steps[i + 1 :]) * d for i, s in enumerate(steps) for d in range(1, s + 1) if s % d == 0} | {1}
    if stride not in valid:
        raise ValueError(
            f"stride: this network, of {total}, cannot have {stride}; valid: {', '.join(map(str, sorted(valid)))}"
        )
    if size < stride:
        raise ValueError(f"stride: {stride} leaves no map of images of {size} px; use at most {size}")
    left = total // stride
    for stage in stages:
        cut = gcd(left, stage[0].step)
        left //= cut
        if cut > 1:
            _slow_down(model, [s.layer for s in stage], stage[0].step // cut)
    check_size(model, size, channels, "use larger images or a smaller stride")


def _slow_down(model: nn.Module, layers: list[nn.Module], step: int) -> None:
    places = [name for name, m in model.named_modules(remove_duplicate=False) if any(m is layer for layer in layers)]
    for name in places:
        layer = model.get_submodule(name)
        if isinstance(layer, nn.Conv2d):
            if layer.kernel_size == layer.stride:
                shrink_kernel(layer, step)
            layer.stride = (step, step)
            _keep_size(layer)
        elif step == 1:
            replace(model, name, nn.Identity())
        else:
            raise ValueError(f"stride: {name} is a pooling that could step by {step} only; choose another stride")


def shrink_kernel(conv: nn.Conv2d, kernel: int) -> None:
    """Leave the middle `kernel` x `kernel` pixels of a convolution's weights, and as much less padding.

    They are scaled up as a start that depends on the fan (fan-in or fan-out) is for the smaller kernel.
    """
    own = conv.kernel_size[0]
    edge = (own - kernel) // 2
    middle = conv.weight.detach()[:, :, edge : edge + kernel, edge : edge + kernel]
    conv.weight = nn.Parameter(middle.clone() * (own / kernel))
    conv.kernel_size = (kernel, kernel)
    if not isinstance(conv.padding, str):  # text: it pads by itself
        conv.padding = tuple(max(p - edge, 0) for p in conv.padding)


def _keep_size(conv: nn.Conv2d) -> None:
    """Pad a convolution that else shrinks its maps; some kinds pad by themselves, as their stride wants."""
    side = PROBE // conv.stride[0]
    if on_meta(conv, (1, conv.in_channels, PROBE, PROBE)).shape[-1] < side:
        conv.padding = tuple(d * (k // 2) for d, k in zip(conv.dilation, conv.kernel_size, strict=True))
