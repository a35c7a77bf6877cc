"""Tiny trials for tests: eight real images a step through a real, small network."""

from __future__ import annotations

import atexit
import shutil
from collections.abc import Collection, Mapping
from copy import deepcopy
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import torch
import yaml

from ablation.build import build
from ablation.store.checkpoint import usable
from ablation.store.identity import identify
from ablation.trial import run as trial
from ablation.trial.observer import Leg, Watch
from ablation.trial.parts import parts
from ablation.types import Taught
from launch.compose import arm, naming
from launch.compose.composer import Composer
from launch.compose.hydra_version import initialized

CONF = Path(__file__).resolve().parents[1] / "conf"

# Three epochs of two steps. Depth 8 is the smallest of the family.
TINY = (
    "data.subset=16", "data.test_subset=20", "batch_size=8", "epochs=3", "precision=fp32", "device=cpu", "track=[]",
    "checkpoint.seconds=0",
)  # fmt: skip
SMALL_MODEL = ("model.depth=8",)


# What an option needs beside itself to mean anything, and what the baseline that it is compared with has too: a list
# of several options of its group, itself last, replaces it ("regularizer=[dropout,r_drop]").
NEEDS: dict[str, tuple[str, ...]] = {
    "regularizer=r_drop": ("regularizer=[dropout,r_drop]",),
    "regularizer=shake_shake": ("model.branches=2",),
}

# Of each kind of model one is trained in every run of the tests, made small by these; the others by `-m slow`.
SMALL: dict[str, tuple[str, ...]] = {
    "resnet_cifar": SMALL_MODEL,
    "resnet18": ("model.width=0.125",),
    "timm": ("model.name=test_resnet",),
    "vgg11": (),
    "densenet": ("model.depth=10", "model.growth=4"),
    "squeezenet": ("model.version=v1.1", "model.stride=16"),
    "googlenet": ("model.stem=7x7", "model.wide=3x3", "model.stride=32"),
    "resnext_cifar": ("model.depth=11", "model.width=0.25", "model.cardinality=4"),
    "lenet": (),
    "toynet": (),
    "resnet9": ("model.width=8",),
    "airbench": ("model.width=8",),
    "nasnet": ("model.cells=1", "model.filters=2", "model.stem=4"),
    "pnasnet": ("model.cells=1", "model.width=4"),
    "wide_resnet": ("model.depth=10", "model.width=0.5"),
    "shake_resnet": ("model.depth=8", "model.width=8"),
    "pyramidnet": ("model.depth=8", "model.alpha=12"),
    "rir": ("model.width=4",),
    "vit": ("model.depth=1", "model.dim=32", "model.heads=2"),
    "swin_t": ("model.depths=[1,2,1,1]", "model.dim=8", "model.heads=[1,1,2,2]"),
    "coatnet_0": ("model.depths=[1,1,1,1]", "model.dims=[8,16,32,64]", "model.stem=8"),
    "mobilevit_s": ("model.variant=xxs", "model.depths=[1,1,1]"),
    "cvt": ("model.depths=[1,1,1]", "model.dims=[8,16,32]", "model.heads=[1,2,2]"),
}

CONTROLS = {"loss=kl"}  # options that by their definition train as the baseline does, bit for bit


def options(group: str) -> list[str]:
    """The options of a group, as a user finds them."""
    return sorted(p.stem for p in (CONF / group).glob("*.yaml") if not p.stem.startswith("_"))


TEACHERS: dict[str, dict[str, Any]] = {}  # id -> configuration, of those that `config` has named


def config(*overrides: str) -> dict[str, Any]:
    """The settled configuration that these overrides give; a loss that needs a teacher has one, itself with ce."""
    return deepcopy(_config(overrides))


@cache
def _composer() -> Composer:
    """One for the process, and what it composes is kept for others: Hydra takes 0.1 s for each set of choices."""
    return Composer()


@cache
def _config(overrides: tuple[str, ...]) -> dict[str, Any]:
    with initialized():
        composed = arm.resolved(_composer()(overrides).config)
    settled, _ = arm.settle(composed, overrides)
    loss = build(settled["loss"], "loss")
    if settled["teacher"] is None and isinstance(loss, Taught) and loss.own is None:
        teacher = {**settled, "loss": {"_target_": "ablation.loss.ce.ce"}}
        settled |= {"teacher": identify(teacher, naming.rules()), "draws": composed["draws"]}
        TEACHERS[settled["teacher"]] = teacher
    return settled


@cache
def _schoolroom() -> Path:
    """Where this process's teachers are trained, once each."""
    folder = mkdtemp()
    atexit.register(shutil.rmtree, folder)
    return Path(folder)


def teach(settings: Mapping[str, Any], out: Path) -> None:
    """Put the teacher that `config` has named, trained with the seeds asked for, into a folder of runs."""
    name = settings["teacher"]
    if name not in TEACHERS or (out / name).exists():
        return
    trained, top = _schoolroom() / name, parts(settings).scalars
    trained.mkdir(exist_ok=True)
    (trained / "config.yaml").write_text(yaml.safe_dump(TEACHERS[name]))
    outcomes = run({**TEACHERS[name], "seeds": list(top.seeds)}, trained)
    assert all(isinstance(o, dict) for o in outcomes.values())
    asked = {f"seed-{seed}" for seed in top.seeds}  # others may have been trained for another test
    shutil.copytree(
        trained, out / name, ignore=lambda _, names: [n for n in names if n.startswith("seed-") and n not in asked]
    )


class Silent(Watch):
    """Counts steps, keeps notes, and can be told to stop after some step."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.steps, self.stop_after = 0, stop_after
        self.notes: list[str] = []
        self.legs: list[Leg] = []
        self.results: dict[int, Mapping[str, Any]] = {}

    def note(self, text: str) -> None:
        self.notes.append(text)

    def begin(self, leg: Leg) -> None:
        self.legs.append(leg)

    def tick(self) -> None:
        self.steps += 1

    def epoch(self, seed: int, epoch: int, metrics: Mapping[str, float]) -> None:
        pass

    def end(self, seed: int, result: Mapping[str, Any]) -> None:
        self.results[seed] = result

    def stop(self) -> bool:
        return self.stop_after is not None and self.steps >= self.stop_after


def run(
    settings: Mapping[str, Any], folder: Path, watch: Silent | None = None, supersede: Collection[str] = ()
) -> trial.Outcomes:
    """Run a configuration here and now."""
    watch = watch or Silent()
    teach(settings, folder.parent)
    return trial.run(settings, parts(settings), folder, watch, watch.stop, supersede)


def final_weights(folder: Path, seed: int = 0) -> dict[str, torch.Tensor]:
    """Everything tensor in a seed's last checkpoint, flat."""
    content = next(usable(trial.seed_folder(folder, seed)))
    return {f"{g}.{n}": v for g, part in content.items() if isinstance(part, dict) for n, v in part.items()}
