"""Whatever is typed for an argument of an option: it is taken, or refused by its name before anything is trained."""

from __future__ import annotations

import math
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from tiny import NEEDS, SMALL, SMALL_MODEL, TINY, config, options

from ablation.config import MANY
from ablation.errors import ConfigError
from ablation.trial.training import check

GROUPS = ("aug", "regularizer", "init", "loss", "optim", "sched", "model")
VALUES: tuple[Any, ...] = ("text", None, -1, math.nan, [], {"a": 1})
HUGE = (10**9, 10**400)  # tables, lists and loops of so many never end
# The presets of a family have its arguments.
EVERY = [(g, o) for g in GROUPS for o in options(g) if g != "model" or o in SMALL]


@pytest.mark.parametrize(("group", "option"), EVERY, ids=map("=".join, EVERY))
def test_a_bad_value_is_refused_by_its_name(group: str, option: str) -> None:
    chosen = f"{group}={option}"
    small = SMALL[option] if group == "model" else SMALL_MODEL
    base = config(*TINY, *small, chosen, *NEEDS.get(chosen, ()))
    place = f"{group}.{option}" if group in MANY else group
    for argument in (base[group][option] if group in MANY else base[group]).keys() - {"_target_"}:
        for value in VALUES:
            tried = deepcopy(base)
            (tried[group][option] if group in MANY else tried[group])[argument] = value
            said = refusal(tried)
            assert not said or (f"{place}." in said and argument in said), f"{argument}={value}: {said}"


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("group", "option"),
    [pytest.param(g, o, marks=[pytest.mark.slow] * (g == "model")) for g, o in EVERY],
    ids=map("=".join, EVERY),
)
def test_of_a_huge_number_there_is_an_end(group: str, option: str) -> None:
    chosen = f"{group}={option}"
    small = SMALL[option] if group == "model" else SMALL_MODEL
    base = config(*TINY, *small, chosen, *NEEDS.get(chosen, ()))
    for argument, default in (base[group][option] if group in MANY else base[group]).items():
        for value in HUGE if isinstance(default, int | float) and not isinstance(default, bool) else ():
            tried = deepcopy(base)
            (tried[group][option] if group in MANY else tried[group])[argument] = value
            said = refusal(tried)
            assert not said or said.startswith(group), f"{argument}={value}: {said}"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("epochs", 10**9), ("epochs", 10**400), ("seeds", [0, 2**64]), ("lease", 1e308), ("lease", 1e-320),
        ("data.pad", 10**9), ("data.size", 10**9), ("track.mlflow.interval", 1e17), ("track.mlflow.interval", 1e-320),
        ("track.mlflow.timeout", 1e17), ("aug.rand_augment.bins", 10**9), ("aug.rand_augment.num_ops", 10**9),
        ("aug.trivial_augment.bins", 10**9), ("aug.batch_augmentation.times", 10**9), ("aug.cutout.holes", 10**9),
        ("aug.cutout.size", 10**30), ("aug.gaussian_blur.size", 10**9 + 1), ("aug.channel_drop.most", 10**30),
        ("regularizer.cotrain.splits", 10**9), ("optim.iterations", 10**9), ("optim.lr", 1e36),
    ],
)  # fmt: skip
def test_more_than_any_machine_has_is_refused_by_its_name(key: str, value: Any, tmp_path: Path) -> None:
    """None of these would fail before the training, which then would wait, fill the memory or never end a step."""
    group, option = [*key.split("."), ""][:2]
    uri = f"track.mlflow.uri=sqlite:///{tmp_path}/mlflow.db"
    chosen = {"optim.iterations": ["optim=muon"], "data.size": ["+data.size=8"]}.get(key, [])
    chosen = ["track=mlflow", uri] if group == "track" else [f"{group}={option}"] if group in MANY else chosen
    tried = config(*TINY, *SMALL_MODEL, *chosen)
    *above, last = key.split(".")
    node = tried
    for step in above:
        node = node[step]
    node[last] = value
    assert refusal(tried).startswith(key), refusal(tried)


def refusal(settings: dict[str, Any]) -> str:
    """What is said of a configuration, if it is refused; any other error is a failure."""
    try:
        check(settings)
    except ConfigError as e:
        return str(e)
    return ""
