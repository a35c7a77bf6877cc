"""A library's network as ours: its layers up to the pooled features, its head, and its strides for small images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import gcd, prod

import torch
from torch import Tensor, nn
from torch.func import functional_call

from ablation.types import Model

PROBE = 1024  # px: so large that paddings and unpadded convolutions hardly change the ratios of the maps' sides


class Library(Model):
    """A library's layers up to the pooled features, and a head."""

    def __init__(self, body: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.body, self.head = body, head

    def features(self, x: Tensor) -> Tensor:
        """Normalised images (N, C, H, W) -> pooled features (N, D)."""
        out: Tensor = self.body(x)
        return out


class GlobalMean(nn.Module):
    """Global average pooling: torch's adaptive one has no fast path under `torch.vmap` in channels-last memory."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, D, H, W) -> (N, D, 1, 1)."""
        return x.mean((2, 3), keepdim=True)


def global_means(model: nn.Module) -> None:
    """Put `GlobalMean` in the place of every adaptive pooling to one pixel."""
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.AdaptiveAvgPool2d) and module.output_size in (1, (1, 1)):
            _replace(model, name, GlobalMean())


def _replace(model: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, own = name.rpartition(".")
    setattr(model.get_submodule(parent), own, module)


def _ask(model: nn.Module, size: int, channels: int, hook: Callable[..., None] | None = None) -> Tensor:
    """One forward pass of one image without memory or arithmetic; the hook sees every layer without children."""
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    nowhere = {name: tensor.detach().to("meta") for name, tensor in tensors.items()}
    leaves = [m for m in model.modules() if not any(m.children())] if hook else []
    handles = [m.register_forward_hook(hook) for m in leaves if hook]
    training = model.training
    model.eval()
    try:
        with torch.no_grad(), torch.device("meta"):
            out: Tensor = functional_call(model, nowhere, (torch.empty(1, channels, size, size),))
            return out
    finally:
        model.train(training)
        for handle in handles:
            handle.remove()


def check_size(model: nn.Module, size: int, channels: int, way_out: str = "use larger images") -> None:
    """Refuse images on which the network cannot run, before they are on a GPU.

    Raises:
        ValueError: it cannot.
    """
    try:
        _ask(model, size, channels)
    except (RuntimeError, AssertionError, ValueError, IndexError) as e:
        reason = str(e).partition("\n")[0]
        raise ValueError(f"size: this network cannot run on images of {size} px ({reason}); {way_out}") from e


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

    try:
        _ask(model, PROBE, channels, hook)
    except (RuntimeError, AssertionError, ValueError, IndexError) as e:
        raise ValueError("stride: this network takes images of one size only; leave it null") from e
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
    out. A convolution keeps its kernel, and is padded if it else would shrink its maps. A stride of 4 may become 2.

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
            if layer.kernel_size[0] == layer.stride[0] > 1:
                raise ValueError(f"stride: {name} cuts patches of {layer.kernel_size[0]} px; choose their size instead")
            layer.stride = (step, step)
            _keep_size(layer)
        elif step == 1:
            _replace(model, name, nn.Identity())
        else:
            raise ValueError(f"stride: {name} is a pooling that could step by {step} only; choose another stride")


def _keep_size(conv: nn.Conv2d) -> None:
    """Pad a convolution that else shrinks its maps; some kinds pad by themselves, as their stride wants."""
    side = PROBE // conv.stride[0]
    if _ask(conv, PROBE, conv.in_channels).shape[-1] < side:
        conv.padding = tuple(d * (k // 2) for d, k in zip(conv.dilation, conv.kernel_size, strict=True))
