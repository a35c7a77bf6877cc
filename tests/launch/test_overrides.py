"""What only the arms of a sweep have can be said once for all of them, in every group."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tiny import CONF, options

from ablation.config import MANY
from ablation.errors import ConfigError
from launch.compose.arms import compose_arms
from launch.compose.hydra_version import initialized
from tests.launch.typed import expanded


@pytest.fixture(autouse=True, scope="module")
def hydra() -> Iterator[None]:
    with initialized():
        yield


def swept(*typed: str) -> list[dict[str, Any]]:
    """The configurations of the arms of a line, by way of what Hydra composes for the whole sweep."""
    return [p.config for p in compose_arms(expanded(["-m", *typed]))]


def _arguments() -> Iterator[tuple[str, str, str, Any]]:
    for group in (*MANY, "sched", "loss"):
        for option in options(group):
            node = yaml.safe_load((Path(CONF) / group / f"{option}.yaml").read_text())
            place, inner = (f"{group}.{option}", node.get(option)) if group in MANY else (group, node)
            for name, value in (inner or {}).items():
                if name != "_target_" and type(value) in (int, float, bool) and group != "track":
                    yield group, option, f"{place}.{name}", value
                    break


@pytest.mark.parametrize(("group", "option", "key", "value"), list(_arguments()))
def test_one_value_for_all_arms(group: str, option: str, key: str, value: Any) -> None:
    chosen = f"{group}={option},[{option}]" if group in MANY else f"{group}={option}"
    given = f"{key}={str(value).lower()}"
    rows = expanded(["-m", chosen, "epochs=1,2", given])
    assert rows
    assert all(given in row for row in rows)


def test_it_reaches_every_arm() -> None:
    one, other = swept("aug=mixup,[cutout,mixup]", "aug.mixup.alpha=0.3")
    assert one["aug"]["mixup"]["alpha"] == other["aug"]["mixup"]["alpha"] == 0.3
    assert [c["sched"]["power"] for c in swept("sched=poly", "sched.power=3", "epochs=1,2")] == [3, 3]


def test_an_arm_without_it_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"1 of 2 arms refused.*\n.*aug=cutout .*mixup is not chosen; add aug=mixup"):
        swept("aug=mixup,cutout", "aug.mixup.alpha=0.3")


def test_a_mistake_of_all_arms_is_said_once() -> None:
    with pytest.raises(ConfigError, match=r"^optim\.lrr: no such key; did you mean optim\.lr\?$"):
        swept("aug=mixup,cutout", "optim.lrr=1")
