"""Every row of the published tables whose network exists composes and trains a step."""

from __future__ import annotations

import json
import math
import re
from functools import cache

from one_step import begun, imitation, stepped

from ablation.identity import flatten
from launch.arm import Config
from launch.grid import Row
from launch.table_request import initialized, request
from launch.tables import Composed, compositions, names

# Rows that lack something of a network that exists.
LACKING = {
    "lab/resnet18_tweaks: zero gamma, warm-up 5, shortcut 3x3": "model.shortcut of resnet18",
    "tricks/3_3: stochastic depth ResNet-18": "blocks of resnet18 that a join fits",
}
# Keys whose value changes nothing in how a step is computed: rows that differ in them only are tried once.
PLAIN = ("epochs", "batch_size", "optim.lr", "optim.weight_decay", "sched.eta", "sched.warmup", "data.", "teacher")


@cache
def rows() -> dict[str, Composed]:
    """Table and label of each row -> what it composes to."""
    with initialized():
        asked = [request([f"table={name}"]) for name in names()]
        listed: list[tuple[str, Row]] = [
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


def test_rows_that_do_not_compose_lack_a_network() -> None:
    lacks = {label: str(arms) for label, arms in rows().items() if isinstance(arms, Exception)}
    others = {label for label, lack in lacks.items() if not re.match(r"model=\w+: no such option", lack)}
    assert {label: lacks[label] for label in others - set(LACKING)} == {}
    assert set(LACKING) <= others, "a row that composes now"


def test_rows_that_compose_train_a_step() -> None:
    kinds: dict[str, tuple[str, Config]] = {}
    for label, arms in rows().items():
        if not isinstance(arms, Exception):
            kinds.setdefault(kind(arms[-1].config), (label, arms[-1].config))
    assert len(kinds) > 90
    found = {label: why for label, config in kinds.values() if (why := trouble(config))}
    assert not found
