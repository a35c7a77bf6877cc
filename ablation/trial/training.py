"""The program that trains a network: what `ablation.trial.program` asks, answered by the parts and the loop."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from ablation.build import build
from ablation.buildable import buildable
from ablation.data.content import asked, files
from ablation.sched._end import ending
from ablation.store.result import Outcomes
from ablation.trial import run as seeds
from ablation.trial.observer import Watch
from ablation.trial.parts import parts
from ablation.tricks import build_tricks

_RATE = "lr"  # the field whose schedule is looked at


def check(config: Mapping[str, Any]) -> list[str]:
    """Build and check all that needs no data; what is to be said of somebody else's parts, and of the schedule.

    Raises:
        ConfigError: names the key, the value and the way out.
    """
    with buildable():
        notes = parts(config).notes
    rate = config["optim"].get(_RATE)
    if rate is None:  # the optimiser's own
        return [*notes]
    return [*notes, *_ending(json.dumps([config["sched"], config["epochs"], rate]))]


@lru_cache(maxsize=1024)
def _ending(text: str) -> list[str]:
    """`text` is JSON of all that a schedule depends on: a grid of tricks looks at it once."""
    node, epochs, lr = json.loads(text)
    schedules = build(node, "sched", epochs=epochs, lr=lr)
    return ending(schedules[_RATE], epochs) if _RATE in schedules else []


def content(config: Mapping[str, Any], tell: Callable[[str], None]) -> str | None:
    """The digest of images of one's own; None if nothing is there.

    Raises:
        DataError: what is there is no such data set, or cannot be read.
    """
    return asked(config["data"], tell)


def require(config: Mapping[str, Any]) -> None:
    """Refuse a configuration if images of one's own are not there, as loading them would.

    Raises:
        DataError: they are not.
    """
    files(config["data"])


def acts_later(config: Mapping[str, Any], key: str) -> bool:
    """Whether what a key sets may depend on how the training goes: thresholds of gradients, settings of optimisers."""
    if key == "diverged" or key.startswith("optim."):
        return True
    if not key.startswith("regularizer."):
        return False
    name, tricks = key.split(".")[1], build_tricks(config)
    return name in tricks.grads or name in tricks.penalties


def run(
    config: Mapping[str, Any],
    folder: Path,
    watch: Watch,
    stop: Callable[[], bool] = lambda: False,
    supersede: Collection[str] = (),
) -> Outcomes:
    """Train every seed that has no result yet, resuming where a checkpoint is (`ablation.trial.run`)."""
    return seeds.run(config, parts(config), folder, watch, stop, supersede)
