"""Models, and what regularizers put into their blocks."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor, nn

from ablation.contract.generators import TORCH, watched
from ablation.contract.sample import N, Shape, key
from ablation.contract.shown import a, outline, shown
from ablation.contract.subject import Subject
from ablation.types import Model, Noisy

MODEL = "Model: features(images (N, C, H, W)) -> (N, D), then head: (N, D) -> logits (N, K)"
NOISE = "Noise: join(l, L) -> module(shortcut, *branches) -> Tensor; drop() -> module(x) -> Tensor, of the same shape"
_MAPS = (N, 16, 8, 8)


def check_is_model(subject: Subject, model: Any) -> Model:
    """A model with its two parts.

    Raises:
        ConfigError: it is none.
    """
    if not isinstance(model, Model):
        way = "a subclass of ablation.types.Model with the method features and the module head"
        raise subject.breach(f"returned {a(model)}, not a Model", returned=shown(model), wanted=way)
    if not isinstance(getattr(model, "head", None), nn.Module):
        raise subject.breach(
            "has no module `head`", wanted="self.head, (N, D) -> (N, K), such as nn.Linear(D, classes)"
        )
    return model


def check_output(subject: Subject, name: str, value: Any, rows: int | None, columns: int | None = None) -> None:
    """Features (N, D) or logits (N, K), by the shape alone: that needs no reading from the device.

    Raises:
        ConfigError: they are something else.
    """
    told = {"returned": f"{name} {outline(value)}", "wanted": f"{name} ({rows or 'N'}, {columns or 'D'})"}
    if not isinstance(value, Tensor):
        raise subject.breach(f"gave {a(value)} for {name}, not a tensor", **told)
    if value.dim() != 2 or rows not in (None, len(value)) or not value.is_floating_point():
        raise subject.breach(f"gave {name} of the shape {tuple(value.shape)}", **told)
    if columns not in (None, value.shape[1]):
        raise subject.breach(f"gave {value.shape[1]} {name} an image for {columns} classes", **told)


def check_model(subject: Subject, model: Model, shape: Shape) -> None:
    """Run a small model on the CPU, as in training and as in evaluation.

    Raises:
        ConfigError: it breaks its contract.
        Raised: it raises an exception.
    """
    images = (shape.batch().x - 0.5) / 0.25

    def call(i: int) -> tuple[Tensor, Tensor]:
        given = images.clone()
        rows = N if model.training else None
        with torch.no_grad():
            features = subject.call(model.features, given)
            check_output(subject, "features", features, rows)
            logits = subject.call(model.head, features)
            check_output(subject, "logits", logits, rows, shape.classes)
        subject.unchanged("the images", given, images)
        for name, value in (("features", features), ("logits", logits)):
            if not torch.isfinite(value).all():
                raise subject.breach(f"gave {name} with numbers that are not finite", returned=shown(value))
        return features, logits

    told_apart(subject, model, call)


def check_first_pass(subject: Subject, model: Model, classes: int) -> None:
    """Look at the outputs of the first forward pass, once and by their shapes: a large model is not run for this alone.

    The pass then raises ConfigError, before any weight is changed.
    """

    def hook(head: nn.Module, inputs: tuple[Any, ...], logits: Any) -> None:
        handle.remove()
        check_output(subject, "features", inputs[0], None)
        check_output(subject, "logits", logits, len(inputs[0]), classes)

    handle = model.head.register_forward_hook(hook)


def told_apart(subject: Subject, module: nn.Module, call: Any) -> None:
    """In training what it does follows from its key; in evaluation nothing is drawn at all."""
    module.train()
    keyed(module, 0)
    subject.twice(call, spared=[TORCH])  # layers of libraries draw: the generator is seeded for each pass
    module.eval()

    def evaluated(i: int) -> Any:
        keyed(module, i)
        return call(i)

    with watched() as drawn:
        first, second = evaluated(0), evaluated(1)
    same = all(torch.equal(x, y) for x, y in zip(first, second, strict=True))
    if drawn or not same:
        raise subject.breach("draws in evaluation", wanted="nothing random when module.training is False")
    module.train()


def keyed(module: nn.Module, number: int) -> None:
    """Fill the keys of the layers that draw, as the learner does for each step."""
    for path, layer in module.named_modules():
        if isinstance(layer, Noisy):
            layer.word.copy_(key(number).fold(layer.site or path).word)


def check_noise(subject: Subject, make: Any, place: str) -> None:
    """Try the module that joins branches or drops, on maps of features.

    Raises:
        ConfigError: it breaks its contract.
        Raised: it raises an exception, which may be because the maps are not the model's.
    """
    arguments = (1, 2) if place == "join" else ()
    subject.takes(make, *("l", "L")[: len(arguments)])
    layer = subject.call(make, *arguments)
    if not isinstance(layer, nn.Module):
        raise subject.breach(f"{place} returned {a(layer)}, not a module", returned=shown(layer), wanted="an nn.Module")
    inputs = 1 if place == "drop" else 1 + getattr(layer, "branches", 1)
    given = [torch.linspace(0, 1 + i, 8 * N * 128).reshape(_MAPS) for i in range(inputs)]
    if not _binds(layer, inputs):
        told = {"takes": f"it takes {inspect.signature(layer.forward)}", "wanted": f"it is called with {inputs}"}
        raise subject.breach(f"{place}'s module takes other arguments than it is given", **told)

    def call(i: int) -> tuple[Tensor]:
        maps = [tensor.clone() for tensor in given]
        with torch.no_grad():
            out = subject.call(layer, *maps)
        wanted = f"float32 {_MAPS}, the shape that it was given"
        return (subject.tensor(f"{place}'s result", out, _MAPS, wanted),)

    told_apart(subject, layer, call)


def _binds(layer: nn.Module, inputs: int) -> bool:
    try:
        inspect.signature(layer.forward).bind(*range(inputs))
    except TypeError:
        return False
    return True
