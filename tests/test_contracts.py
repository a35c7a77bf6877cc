"""What every option must do, whoever wrote it. The options are found in conf/, so a new one is tested at once."""

from __future__ import annotations

import importlib
import inspect
import math
import re
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch
import yaml
from tiny import CONF, CONTROLS, NEEDS, SMALL, SMALL_MODEL, TINY, Silent, config, final_weights, options, run

from ablation.build import factory
from ablation.config import GROUPS, MANY
from ablation.errors import AblationError, Stopped
from ablation.store.identity import identify

CONTEXT = {
    "model": {"classes", "channels", "size", "join", "drop"},
    "sched": {"epochs", "lr", "steps_per_epoch"},
    "optim": {"weights", "batch_size"},
}  # what the trainer passes beside the YAML's arguments
BF16 = {"precision": "bf16"}
OFFLINE = {"data": ["digits"], "track": []}  # of these groups only what needs neither files nor a server
EVERY = [(g, o) for g in (*GROUPS, *MANY) for o in options(g)]
LARGE = {"vgg11", "googlenet"}  # with all their weights, which are saved at each stop
TRAINED = [
    pytest.param((g, o), marks=pytest.mark.slow if g == "model" and o not in SMALL.keys() - LARGE else ())
    for g, o in EVERY
    if o in OFFLINE.get(g, [o])
]


def name(option: tuple[str, str]) -> str:
    return "=".join(option)


def node(group: str, option: str) -> dict[str, Any]:
    chosen: dict[str, Any] = config(f"{group}={option}", "track=[]" if group != "track" else f"track={option}")[group]
    return chosen[option] if group in MANY else chosen


def overrides(group: str, option: str) -> list[str]:
    """A tiny trial with this option at its defaults, where it can be seen."""
    small = SMALL.get(option, ()) if group == "model" else SMALL_MODEL
    # A learning rate that changes within three epochs shows a schedule; inits are seen in the first step anyway.
    return [*TINY, *small, f"{group}={option}", *NEEDS.get(f"{group}={option}", ())]


@pytest.mark.parametrize("option", EVERY, ids=name)
def test_file_factory_and_docstring_agree(option: tuple[str, str]) -> None:
    group, chosen = option
    composed = node(group, chosen)
    make = factory({"_target_": composed["_target_"]}, group)
    arguments = set(inspect.signature(make).parameters) - CONTEXT.get(group, set())
    assert set(composed) - {"_target_"} == arguments, "the file lists every argument"
    package, floor, module, function = composed["_target_"].split(".")
    assert (package, floor) == ("ablation", group)
    assert module == function, "the factory has its file's name"
    raw = yaml.safe_load((CONF / group / f"{chosen}.yaml").read_text())
    if group in MANY:
        assert list(raw) == [chosen], "an additive option nests under its own name"
    said = f"{importlib.import_module(f'ablation.{group}.{module}').__doc__ or ''} {inspect.getdoc(make) or ''}"
    assert len(said) > 60, "it says what and whence"
    if group in ("aug", "regularizer", "init", "model"):
        assert re.search(r"(19|20)\d\d", said), "the source's year"


def test_the_loop_names_no_trick() -> None:
    loop = Path(importlib.import_module("ablation.train").__file__ or "").read_text()
    words = set(re.findall(r"[a-z_]+", loop))
    plain = {"step", "range"}  # two schedules have the names of plain words
    tricks = {o for g, o in EVERY if g not in ("data", "track")} - plain
    assert words & tricks == set()


@cache
def baseline(needs: tuple[str, ...]) -> dict[str, torch.Tensor]:
    """The end of the baseline, with what an option needs beside itself."""
    with TemporaryDirectory() as folder:
        run(config(*TINY, *SMALL_MODEL, *needs) | BF16, Path(folder) / "baseline")
        return final_weights(Path(folder) / "baseline")


def evaluated(folder: Path) -> dict[str, torch.Tensor]:
    """What the accuracy is measured on: averaged weights if there are any, else the trained ones."""
    tensors = final_weights(folder)
    kept = {k: v for k, v in tensors.items() if k.startswith("averages.") and not k.startswith("averages.teacher.")}
    averaged = {f"weights.{k.split('.', 2)[2]}": v for k, v in kept.items()}
    return averaged or {k: v for k, v in tensors.items() if k.startswith("weights.")}


@pytest.mark.parametrize("option", TRAINED, ids=name)
def test_trains_changes_something_and_resumes_bit_for_bit(option: tuple[str, str], tmp_path: Path) -> None:
    """Straight through, and stopped inside an epoch, at its end and again: one and the same end.

    In bfloat16, where a wrong type shows; seeds are fused in float32.
    """
    group, chosen = option
    settings = config(*overrides(group, chosen)) | BF16
    (straight,) = run(settings, tmp_path / "straight").values()
    assert not isinstance(straight, AblationError)
    assert math.isfinite(straight["train_loss"])
    for stop_after in (1, 3):
        with pytest.raises(Stopped):
            run(settings, tmp_path / "stopped", Silent(stop_after))
    (resumed,) = run(settings, tmp_path / "stopped").values()
    assert not isinstance(resumed, AblationError)
    one, other = final_weights(tmp_path / "straight"), final_weights(tmp_path / "stopped")
    assert one.keys() == other.keys()
    assert [k for k in one if not torch.equal(one[k], other[k])] == []
    assert resumed["test_acc"] == straight["test_acc"]
    assert resumed["attempts"] == 3
    needs = tuple(need.replace(f",{chosen}]", "]") for need in NEEDS.get(name(option), ()))
    if identify(settings) != identify(config(*TINY, *SMALL_MODEL, *needs) | BF16):
        tensors, plain = evaluated(tmp_path / "straight"), baseline(needs)
        same = [k for k in tensors if k in plain and torch.equal(tensors[k], plain[k])]
        changed = len(same) < len(tensors) or not tensors.keys() <= plain.keys()
        assert changed == (name(option) not in CONTROLS), "a switch that changes nothing"


def flat(tensors: dict[str, torch.Tensor], part: str) -> torch.Tensor:
    """All floating-point tensors of a part as one vector."""
    chosen = [v.flatten() for k, v in tensors.items() if k.startswith(part) and v.is_floating_point()]
    return torch.cat(chosen or [torch.zeros(1)])


@pytest.mark.parametrize("option", TRAINED, ids=name)
def test_fused_seeds_are_the_single_seeds(option: tuple[str, str], tmp_path: Path) -> None:
    """Two steps of two seeds as one batched model, and one after the other; in float32, to rounding."""
    group, chosen = option
    # The gradients of the deep ones, as they start, turn the rounding of one step into per cents of the next.
    one_step = ["batch_size=16"] if group == "model" and chosen != "resnet_cifar" else []
    # lookahead refuses to look farther than the end
    few_steps = ["regularizer.lookahead.k=2"] if chosen == "lookahead" else []
    settings = config(*overrides(group, chosen), "seeds=[3,5]", "epochs=1", "optim.lr=0.001", *one_step, *few_steps)
    run(settings, tmp_path / "single")
    run({**settings, "fuse": True}, tmp_path / "fused")
    for seed in (3, 5):
        one, other = final_weights(tmp_path / "single", seed), final_weights(tmp_path / "fused", seed)
        assert one.keys() == other.keys()
        for part in ("weights.", "optimizer.", "averages."):
            a, b = flat(one, part), flat(other, part)
            # Rounding decides the ReLUs at their kinks, and deep or two-pass gradients amplify that.
            assert (a - b).norm() <= 0.02 * a.norm(), part
