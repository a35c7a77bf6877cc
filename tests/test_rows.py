"""Every row of the published tables composes and trains a step."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from functools import cache

import pytest
from one_step import begun, imitation, stepped
from tiny import CONF

from ablation.store.identity import flatten
from launch.compose.arm import Config
from launch.compose.grid import GridRow
from launch.compose.hydra_version import running
from launch.tables.definition import Composed, compositions, table_names
from launch.tables.request import parse_request

# Keys whose value changes nothing in how a step is computed: rows that differ in them only are tried once.
PLAIN = ("epochs", "batch_size", "optim.lr", "optim.weight_decay", "sched.eta", "sched.warmup", "data.", "teacher")


def images(table: str) -> list[str]:
    """Bag of Tricks' tables need somebody's copy of ImageNet or Places365."""
    return ["data.path=your/images"] if table.startswith("bag/") else []


@cache
def rows() -> dict[str, Composed]:
    """Table and label of each row -> what it composes to."""
    with running():
        asked = [parse_request([f"table={name}", *images(name)]) for name in table_names()]
        listed: list[tuple[str, GridRow]] = [
            (f"{one.name}: {label}", row) for one in asked for label, row in zip(one.labels, one.rows, strict=True)
        ]
        composed = compositions([row for _, row in listed])
    return {label: arms for (label, _), arms in zip(listed, composed, strict=True)}


def kind(config: Config) -> str:
    """What is computed in a step, in JSON."""
    return json.dumps({k: v for k, v in flatten(config).items() if not k.startswith(PLAIN)}, sort_keys=True)


def trouble(config: Config) -> str:
    """One step of four random images, large enough for Inception-v3; what went wrong, or nothing."""
    few = {**config, "batch_size": 4, "track": {}, "data": {**config["data"]}}
    if "path" in few["data"]:
        few["data"]["path"] = "your/images"
    try:
        loss = stepped(*begun(few, imitation(few["data"], size=80 if "size" in few["data"] else None)))
    except Exception as e:
        return f"{type(e).__name__}: {e}"
    return "" if math.isfinite(loss) else f"loss {loss}"


def kinds() -> dict[str, Config]:
    """One row of each kind, by its name."""
    first: dict[str, tuple[str, Config]] = {}
    for label, arms in rows().items():
        if not isinstance(arms, Exception):
            first.setdefault(kind(arms[-1].config), (label, arms[-1].config))
    return dict(first.values())


def quick(config: Config) -> bool:
    """Whether the network is one of those with few layers, which most rows have."""
    return config["model"]["_target_"].endswith(".resnet_cifar") and config["model"]["depth"] <= 20


def test_every_row_composes() -> None:
    assert {label: str(arms) for label, arms in rows().items() if isinstance(arms, Exception)} == {}
    assert len(rows()) > 330


def test_rows_train_a_step() -> None:
    chosen = {label: config for label, config in kinds().items() if quick(config)}
    assert len(chosen) > 60
    assert {label: why for label, config in chosen.items() if (why := trouble(config))} == {}


@pytest.mark.slow  # networks of up to 70 million parameters
@pytest.mark.timeout(3600)
def test_rows_of_large_networks_train_a_step() -> None:
    chosen = {label: config for label, config in kinds().items() if not quick(config)}
    assert len(chosen) > 40
    assert {label: why for label, config in chosen.items() if (why := trouble(config))} == {}


def note(name: str) -> str:
    return " ".join((CONF.parent / "results" / "notes" / f"{name}.md").read_text().split())


def test_the_note_on_noise_has_every_number_of_the_setting_that_the_lab_notes_repeat() -> None:
    """Rows of several tables are one arm: what was reported of them is noise."""
    with running():
        asked = [parse_request([f"table={name}"]) for name in table_names() if name.startswith("lab/")]
    reported = {
        f"{one.name}: {label}": row.about.get("reported", {}).get("test_acc")
        for one in asked
        for label, row in zip(one.labels, one.rows, strict=True)
    }
    ids = {label: arms[-1].arm.id for label, arms in rows().items() if not isinstance(arms, Exception)}
    one = ids["lab/resnet20_base: post-activation"]
    numbers = sorted({f"{reported[label]:.2f}" for label, id_ in ids.items() if id_ == one and reported.get(label)})
    assert f"one setting gave {', '.join(numbers[:-1])} and {numbers[-1]}" in note("noise")


def test_the_note_on_schedules_has_the_whole_range_of_final_rates() -> None:
    with running():
        asked = parse_request(["table=lab/resnet20_base"])
    etas = [row.about["reported"]["test_acc"] for row in asked.rows if str(row.about["label"]).startswith("eta ")]
    assert len(etas) == 4
    assert f"{min(etas):.2f} to {max(etas):.2f}, in [weight_decay]" in note("schedules")


@pytest.mark.parametrize("table", ["start", "tricks/3_1", "lab/postact_mixup"])
def test_a_table_is_read_from_its_file_as_hydra_reads_it(table: str) -> None:
    with running():
        read = parse_request([f"table={table}"])
        composed = parse_request([f"table={table}", "hydra.sweeper.incomplete=refuse"])
    assert replace(read, rows=(), hydra=()) == replace(composed, rows=(), hydra=())
    assert [(row.overrides, row.about) for row in read.rows] == [(row.overrides, row.about) for row in composed.rows]
