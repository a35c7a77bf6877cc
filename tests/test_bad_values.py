"""Whatever is typed for an argument of an option: it is taken, or refused by its name before anything is trained."""

from __future__ import annotations

import math
from copy import deepcopy
from typing import Any

import pytest
from tiny import NEEDS, SMALL, SMALL_MODEL, TINY, config, options

from ablation.config import MANY
from ablation.errors import ConfigError
from ablation.trial.parts import parts

GROUPS = ("aug", "regularizer", "init", "loss", "optim", "sched", "model")
VALUES: tuple[Any, ...] = ("text", None, -1, math.nan, [], {"a": 1})
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


def refusal(settings: dict[str, Any]) -> str:
    """What is said of a configuration, if it is refused; any other error is a failure."""
    try:
        parts(settings)
    except ConfigError as e:
        return str(e)
    return ""
