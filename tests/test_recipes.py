"""Recipes: each is whole, trains, and is the published row that it says it is."""

from __future__ import annotations

import pytest
from hydra import compose
from one_step import begun, imitation, stepped
from tiny import CONF, config, options

from ablation.store.identity import identify
from launch.compose import arm, naming
from launch.compose.hydra_version import running
from launch.tables.definition import compositions
from launch.tables.request import parse_request

SMALL = ("batch_size=4", "track=[]")
# Recipe -> the table and the row that it is, where the tables have it.
ROWS = {
    "lab_l0": ("lab/first_runs", "120 epochs"),
    "lab_l1": ("lab/naive_and_dynamic_refine", "naive"),
    "lab_l2": ("lab/stem_ablation", "stem 7x7/2 with max-pool"),
    "lab_l3": ("lab/resnet18_tweaks", "baseline"),
    "lab_l4": ("lab/resnet18_tweaks", "zero gamma, warm-up 10"),
    "lab_l5": ("lab/resnet20_base", "post-activation"),
    "lab_l6": ("lab/eta", "eta 1e-5"),
    "lab_l7": ("lab/eta", "eta 1e-4"),
    "lab_l9": ("lab/postact_refinery", "mixup, no refinery"),
    "lab_l10": ("lab/last_gamma", "gamma 0"),
}


def text(name: str) -> str:
    return (CONF / "recipe" / f"{name}.yaml").read_text()


@pytest.mark.parametrize("name", options("recipe"))
def test_trains_two_steps(name: str) -> None:
    settings = config(f"recipe={name}", *SMALL)
    if "path" in settings["data"]:
        settings["data"]["path"] = "your/images"
    plan, state = begun(settings, imitation(settings["data"], size=64 if "size" in settings["data"] else None))
    stepped(plan, state, 2)
    assert all(bool(tensor.isfinite().all()) for tensor in state.weights.all().values())


@pytest.mark.parametrize("name", options("recipe"))
def test_leaves_nothing_out(name: str) -> None:
    """What a recipe sets has a reader: else every run of it would say that something was left out."""
    with running():
        _, notes = arm.settle(arm.resolved(compose("config", [f"recipe={name}"])), [f"recipe={name}"])
    assert not notes


@pytest.mark.parametrize("name", [n for n in options("recipe") if n not in ("smoke", "lr_finder")])
def test_says_whence_what_to_expect_and_the_cost(name: str) -> None:
    said = " ".join(line for line in text(name).splitlines() if line.startswith("#"))
    assert "Reported" in said or "Expected: no number" in said
    assert "Cost: " in said


@pytest.mark.parametrize("name", ROWS)
def test_is_the_row_of_the_table(name: str) -> None:
    table, label = ROWS[name]
    with running():
        asked = parse_request([f"table={table}"])
        (arms,) = compositions([asked.rows[asked.labels.index(label)]])
    assert not isinstance(arms, Exception)
    assert identify(config(f"recipe={name}"), naming.rules()) == arms[-1].arm.id
