"""Every network of conf/model, built alone: from its YAML as it stands, without the rest of a configuration."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
import yaml
from tiny import CONF, SMALL
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from ablation.build import build
from ablation.types import Model


@cache
def arguments(option: str) -> dict[str, Any]:
    """What Hydra composes of a YAML and of those that its defaults name; read here, in a hundredth of the time."""
    raw = yaml.safe_load((CONF / "model" / f"{option}.yaml").read_text())
    merged: dict[str, Any] = {}
    for name in raw.pop("defaults", ["_self_"]):
        merged |= raw if name == "_self_" else arguments(name)
    return merged


def network(option: str, classes: int = 10, channels: int = 3, size: int = 32, **changed: Any) -> Model:
    """An option at its defaults, but for the arguments that are changed."""
    model: Model = build(arguments(option) | changed, "model", classes=classes, channels=channels, size=size)
    return model


def small(option: str) -> dict[str, Any]:
    """The arguments that make an option of `tiny.SMALL` cheap."""
    split = [text.removeprefix("model.").partition("=") for text in SMALL.get(option, ())]
    return {name: yaml.safe_load(value) for name, _, value in split}


def parameters(model: nn.Module) -> int:
    """How many numbers are trained."""
    return sum(p.numel() for p in model.parameters())


@torch.no_grad()
def multiply_adds(option: str, channels: int = 3, size: int = 32, **changed: Any) -> int:
    """Of the convolutions and matrix products of one image's forward pass, counted without computing it."""
    with torch.device("meta"):
        model = network(option, channels=channels, size=size, **changed).eval()
        x: Tensor = torch.zeros(1, channels, size, size)
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        model(x)
    return int(counter.get_total_flops()) // 2
