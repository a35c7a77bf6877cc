"""What every option draws and makes of it for a few keys, as numbers that may be kept: tests/golden_draws.json.

`PYTHONPATH=.:tests python tests/golden_draws.py` writes that file anew. That is right for a new option only: an entry
that changes means that runs can no longer be resumed or repeated, so the option needs a revision (conf/identity.yaml).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from stepping import network
from tiny import CONF, options
from torch import Tensor
from yaml import safe_load

from ablation.key import Key
from ablation.regularizer.manifold_mixup import Mix, Mixing
from ablation.types import Batch, Noise, Noisy

GOLDEN = Path(__file__).with_name("golden_draws.json")
KEYS = [Key.root(0).fold("step").fold(3), Key.root(7), Key.root(2024).fold("x")]
SHAPES = ((), (1,), (7,), (16, 1), (3, 5))
IMAGES = ((8, 32, 32, 3), (5, 12, 9, 3), (1, 16, 16, 1))  # N, H, W, C
# Beside the defaults of conf/: the arguments that change which draws are made.
VARIANTS: dict[str, tuple[dict[str, Any], ...]] = {
    "cutmix": ({"per": "sample", "p": 1.0}, {"beta": 0.3, "p": 1.0}),
    "cutout": ({"size": 5, "holes": 3},),
    "color_jitter": ({"hue": 0.2},),
    "gaussian_blur": ({"size": 5, "p": 1.0},),
    "mixup": ({"alpha": 0.2, "per": "sample", "larger": True}, {"alpha": 20.0}),
    "mixup_or_cutmix": ({"per": "sample"}, {"p": 0.7, "switch": 0.2}),
    "random_erasing": ({"fill": "mean", "p": 1.0}, {"fill": "black"}),
    "ricap": ({"per": "sample"}, {"beta": 1.0}),
    "manifold_mixup": ({"alpha": 0.5, "layers": [0, 0]},),
    "rotation": ({"classes": "rotated"}, {"classes": "rotated", "copies": "one"}),
    "shake_drop": ({"gate": "image", "level": "channel"},),
    "shake_shake": ({"backward": "keep", "level": "batch"},),
    "stochastic_depth": ({"per": "sample", "scale": "train"},),
    "drop_block": ({"shared": True},),
    "random_resized_crop": ({"scale": [0.3, 0.9]},),
}
FITTING = {"pca_lighting": lambda n, h, w, c: c == 3, "rotation": lambda n, h, w, c: h == w}  # others are refused
Made = dict[str, list[Tensor]]


def exact(key: Key) -> list[Tensor]:
    """One of each draw without rounding, in several shapes."""
    made = [
        key.fold("a").word,
        key.fold(7).word,
        key.fold(torch.arange(3)).word,
        key.permutation(1),
        key.permutation(9),
    ]
    for shape in SHAPES:
        made += [key.bits(*shape), key.uniform(*shape), key.integers(100, *shape), key.bernoulli(0.3, *shape)]
        made += [key.integers(torch.tensor(77), *shape), key.bernoulli(torch.tensor(0.3), *shape)]
        made += [key.mask(0.3, *shape)] if shape else []
    return made


def rounded(key: Key) -> list[Tensor]:
    """One of each draw with logarithms, in several shapes."""
    made = []
    for shape in SHAPES:
        made += [key.normal(*shape), key.log_gamma(0.7, *shape), key.log_gamma(2.5, *shape)]
        made += [key.beta(0.3, 0.3, *shape), key.beta(2.0, 2.0, *shape), key.beta(2.0, 1.0, *shape)]
    return made


def images(shape: tuple[int, int, int, int]) -> Tensor:
    """Random bytes, (N, H, W, C) uint8."""
    return (Key.root(99).uniform(*shape) * 256).to(torch.uint8)


def batch(shape: tuple[int, int, int, int]) -> Batch:
    """Those images, with targets of ten classes."""
    n, *_, c = shape
    y = torch.eye(10)[torch.arange(n) % 10] * 0.75 + 0.025
    return Batch(images(shape).permute(0, 3, 1, 2).float() / 255, y, torch.tensor(0.5), torch.full((c,), 0.5))


def _variants(group: str, option: str) -> Iterator[tuple[str, Any]]:
    node = safe_load((CONF / group / f"{option}.yaml").read_text())[option]
    module, _, name = node.pop("_target_").rpartition(".")
    for changed in ({}, *VARIANTS.get(option, ())):
        told = "".join(f" {k}={v}" for k, v in changed.items())
        yield f"{group} {option}{told}", getattr(import_module(module), name)(**{**node, **changed})


def _augmentation(option: str, aug: Any) -> Callable[[Key], list[Tensor]]:
    shapes = [shape for shape in IMAGES if option not in FITTING or FITTING[option](*shape)]
    return lambda key: [part for shape in shapes for part in aug(batch(shape), key)[:2]]


def _layer(make: Callable[[], Any], inputs: int) -> Callable[[Key], list[Tensor]]:
    def made(key: Key) -> list[Tensor]:
        found = []
        for n, h, w, _ in IMAGES:
            layer, x = make(), [Key.root(i).uniform(n, 4, h, w).requires_grad_() for i in range(inputs)]
            assert isinstance(layer, Noisy)
            layer.given = key
            out = layer(*x)
            out.sum().backward()
            found += [out.detach(), *[one.grad for one in x if one.grad is not None]]
        return found

    return made


def cases() -> Iterator[tuple[str, Callable[[Key], list[Tensor]]]]:
    """Every option that draws: views, augmentations, layers."""
    yield "exact draws", exact
    yield "rounded draws", rounded
    for option in sorted(p.stem for p in Path(import_module("ablation.data.view").__path__[0]).glob("[a-z]*.py")):
        for changed in ({}, *VARIANTS.get(option, ())):
            view = getattr(import_module(f"ablation.data.view.{option}"), option)(pad=4, **changed)
            yield f"view {option} {changed or ''}".strip(), lambda key, v=view: [v(images(s), key) for s in IMAGES]
    for option in options("aug"):
        for name, made in _variants("aug", option):
            aug = made[0] if isinstance(made, tuple) else made
            if callable(aug):
                yield name, _augmentation(option, aug)
    for option in options("regularizer"):
        for name, made in _variants("regularizer", option):
            for part in made if isinstance(made, tuple) else (made,):
                if isinstance(part, Noise):
                    if part.join is not None and isinstance(part.join(2, 3), Noisy):
                        join = part.join
                        yield f"{name} join", _layer(lambda join=join: join(2, 3), 3)
                    if part.drop is not None:
                        yield f"{name} drop", _layer(part.drop, 1)
                elif callable(part):
                    yield name, _augmentation(option, part)

    def mixed(key: Key) -> list[Tensor]:
        mix = Mix(Mixing(2.0, 3), 1)
        mix.given = key
        return [mix.after(network(), None, batch(shape).x) for shape in IMAGES]

    yield "regularizer manifold_mixup inside", mixed


def summary(made: list[Tensor]) -> dict[str, Any]:
    """A digest of all bits, and a few numbers of each tensor for processors whose logarithms round otherwise."""
    sha = hashlib.sha256()
    for tensor in made:
        sha.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
        sha.update(tensor.contiguous().numpy().tobytes())
    return {"sha256": sha.hexdigest(), "means": [float(f"{t.double().mean():.7g}") for t in made]}


if __name__ == "__main__":
    golden = {name: [summary(make(key)) for key in KEYS] for name, make in cases()}
    lines = [f"{json.dumps(name)}: {json.dumps(found)}" for name, found in golden.items()]
    GOLDEN.write_text("{\n" + ",\n".join(lines) + "\n}\n")
