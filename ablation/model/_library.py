"""A library's network as ours: its layers up to the pooled features, and its head."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call

from ablation.types import Model


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
            replace(model, name, GlobalMean())


def replace(model: nn.Module, name: str, module: nn.Module) -> None:
    """Put a layer in the place of the one of this name."""
    parent, _, own = name.rpartition(".")
    setattr(model.get_submodule(parent), own, module)


def on_meta(model: nn.Module, shape: tuple[int, int, int, int], training: bool = False) -> Tensor:
    """What comes out for images of this shape, without memory, arithmetic or a trace in the model."""
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    nowhere = {name: tensor.detach().to("meta") for name, tensor in tensors.items()}
    before = {module: module.training for module in model.modules()}
    model.train(training)
    try:
        with torch.no_grad(), torch.device("meta"):
            out: Tensor = functional_call(model, nowhere, (torch.empty(shape),))
            return out
    finally:
        for module, mode in before.items():
            module.training = mode


def check_size(model: nn.Module, size: int, channels: int, way_out: str = "use larger images") -> None:
    """Refuse images on which the network cannot run, before they are on a GPU.

    Raises:
        ValueError: it cannot.
    """
    try:
        on_meta(model, (1, channels, size, size))
    except (RuntimeError, AssertionError, ValueError, IndexError) as e:
        reason = str(e).partition("\n")[0]
        raise ValueError(f"size: this network cannot run on images of {size} px ({reason}); {way_out}") from e
