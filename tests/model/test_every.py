"""What every option of `model` must do, whoever wrote it. They are found in conf/, so a new one is tested at once.

Most is seen on the meta device, where a network of any size costs some milliseconds a layer: shapes, gradients and
which operators are called, but no numbers.
"""

from __future__ import annotations

import re
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from networks import arguments, multiply_adds, network, parameters, small
from one_step import Enough, begun
from published import PARAMETERS
from tiny import CONF, SMALL, config, options
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode

from ablation.machine.precision import choose_precision
from ablation.state import State
from ablation.train import Recorder, train
from ablation.types import Model, Noisy

EVERY = options("model")
SIZES, CHANNELS, CLASSES = (32, 64, 224), (1, 3), (10, 100, 1000)
FEW = [(64, 1, 100), (224, 3, 1000)]  # all combinations are in the slow suite
# Of every kind a small one in each run of the tests, and all at their full size in the slow suite.
FULL = [pytest.param(o, {}, id=o, marks=pytest.mark.slow) for o in EVERY]
ALL = [*[pytest.param(o, small(o), id=f"small {o}") for o in SMALL], *FULL]


class Drawn(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes the operators that draw from torch's generator."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if torch.Tag.nondeterministic_seeded in func.tags:
            self.found.append(str(func))
        return func(*args, **(kwargs or {}))


def drawn(model: nn.Module, x: Tensor) -> tuple[Tensor, list[str]]:
    """The output in training mode, and what was drawn for it past the keys."""
    with Drawn() as mode, sdpa_kernel(SDPBackend.MATH):  # the only attention that draws by an operator of its own
        return model.train()(x), mode.found


def unsaved(model: nn.Module) -> dict[str, tuple[int, int]]:
    """Tensors that no checkpoint holds, but for the keys: which they are, and how often they were changed in place."""
    kept = set(model.state_dict())
    found = dict(model.named_buffers())
    for path, module in model.named_modules():
        found |= {f"{path}.{name}": v for name, v in vars(module).items() if isinstance(v, Tensor)}
    words = {f"{path}.word" for path, m in model.named_modules() if isinstance(m, Noisy)}
    return {name: (id(b), b._version) for name, b in found.items() if name not in kept | words}


def on_meta(option: str, size: int = 32, channels: int = 3, classes: int = 10, **changed: Any) -> tuple[Model, Tensor]:
    with torch.device("meta"):
        return network(option, classes, channels, size, **changed), torch.zeros(2, channels, size, size)


def test_of_every_option_the_parameters_are_published() -> None:
    assert sorted(PARAMETERS) == EVERY


@pytest.mark.parametrize("option", EVERY)
def test_has_the_published_parameters(option: str) -> None:
    published = PARAMETERS[option]
    model, _ = on_meta(option, classes=published.classes)
    assert parameters(model) / 1e6 == pytest.approx(published.millions, rel=0.01), published.source


@pytest.mark.parametrize(("option", "changed"), ALL)
def test_trains_all_it_has_and_draws_by_keys_alone(option: str, changed: dict[str, Any]) -> None:
    """A gradient reaches every parameter, what training changes is saved, and layers that draw are Noisy."""
    model, x = on_meta(option, **changed)
    before = unsaved(model)
    logits, found = drawn(model, x)
    assert logits.shape == (2, 10)
    assert not found, "layers of a library that draw are built with rate 0: randomness comes from keys"
    assert unsaved(model) == before
    logits.sum().backward()  # type: ignore[no-untyped-call]
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


def check_shapes(option: str, changed: dict[str, Any], size: int, channels: int, classes: int) -> None:
    model, x = on_meta(option, size, channels, classes, **changed)
    features = model.eval().features(x)
    assert features.ndim == 2
    assert len(features) == 2
    assert model.head(features).shape == (2, classes)


@pytest.mark.parametrize("option", SMALL)
def test_shapes(option: str) -> None:
    for size, channels, classes in FEW:
        check_shapes(option, small(option), size, channels, classes)


@pytest.mark.slow
@pytest.mark.parametrize("option", EVERY)
def test_all_shapes_at_full_size(option: str) -> None:
    for size, channels, classes in product(SIZES, CHANNELS, CLASSES):
        check_shapes(option, {}, size, channels, classes)


@pytest.mark.parametrize("layer", [nn.Dropout(0.1), nn.RReLU(), nn.MultiheadAttention(4, 2, 0.1)])
def test_a_layer_that_draws_is_found(layer: nn.Module) -> None:
    class Alone(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = layer(x, x, x)[0] if isinstance(layer, nn.MultiheadAttention) else layer(x)
            return out

    x = torch.ones(2, 4, 4)
    assert drawn(Alone().train(), x)[1]
    assert not drawn(nn.Sequential(nn.Dropout(0.0), nn.Linear(4, 4)), x)[1]


def test_a_composed_option_is_what_hydra_composes() -> None:
    for option in ("resnet20", "preact_resnet56", "resnet18"):
        assert arguments(option) == config(f"model={option}")["model"]


@pytest.mark.parametrize(
    ("option", "size", "changed", "millions"),
    [
        ("resnet18", 32, {}, 556),  # as most who train it on CIFAR count
        ("resnet50", 224, {"stem": "7x7/2+maxpool"}, 4090),  # torchvision's model page: 4.09 G
        ("resnet20", 32, {}, 40.6),
    ],
)
def test_counts_multiply_adds_as_others_do(option: str, size: int, changed: dict[str, Any], millions: float) -> None:
    assert multiply_adds(option, size=size, **changed) / 1e6 == pytest.approx(millions, rel=0.005)


class Until(Recorder):
    """Ends the training after an epoch of a low enough loss."""

    def __init__(self, loss: float) -> None:
        self.loss, self.seen = loss, float("inf")

    def step(self, state: State) -> None:
        pass

    def epoch(self, state: State) -> None:
        self.seen = float(state.losses.mean())
        if self.seen < self.loss:
            raise Enough


FIT = (
    "data.subset=64", "data.view=none", "batch_size=16", "epochs=60", "optim=adam", "optim.lr=0.001", "sched=constant",
    "track=[]",
)  # fmt: skip
# A norm bounds the logits of ResNet in ResNet, and its gains have to grow first.
# At 0.001 the ViT stays at 2.3 for 30 epochs.
FIT_ALSO = {
    "rir": ("model.width=16", "optim.lr=0.01", "epochs=120"),
    "vit": ("optim.lr=0.0002", "epochs=120"),
}


@pytest.mark.slow  # minutes for the largest
@pytest.mark.parametrize("option", EVERY)
def test_overfits_64_images(option: str) -> None:
    """Through the real loop, in its precision: the mean loss of an epoch of training, at first 2.3, falls below 0.1."""
    recorder = Until(0.1)
    settings = config(*FIT, f"model={option}", *FIT_ALSO.get(option, ()))
    plan, state = begun(settings, precision=choose_precision("auto", torch.device("cpu")))
    with pytest.raises(Enough):
        train(plan, state, recorder)


@pytest.mark.slow  # a process each
@pytest.mark.parametrize("option", EVERY)
def test_trains_from_the_command_line(option: str, tmp_path: Path) -> None:
    words = [f"model={option}", "data.subset=64", "data.test_subset=20", "batch_size=16", "epochs=1", "track=[]"]
    command = [sys.executable, "launch/run.py", *words, f"out={tmp_path}"]
    done = subprocess.run(command, cwd=CONF.parent, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    assert re.search(r"epoch 1/1 .* test ", done.stdout), done.stdout
