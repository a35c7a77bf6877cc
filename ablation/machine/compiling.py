"""torch.compile in a process that trains one configuration after another."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import torch

# Dynamo compiles a function 8 times, for as many sets of circumstances, and afterwards, with one warning, runs it as it
# is. The step is one function for all configurations, and takes two of the 8 if a number turns out to vary.
_KEPT = 4
_SURROUNDINGS = ("seeds", "out", "sweep", "track", "checkpoint", "lease")
_compiled: set[str] = set()


def make_room(config: Mapping[str, Any]) -> None:
    """Forget what was compiled in this process if there would be no room for one configuration more.

    Seeds of one configuration, and arms that take turns, go on with what was compiled for them.
    """
    name = json.dumps({k: v for k, v in config.items() if k not in _SURROUNDINGS}, sort_keys=True, default=str)
    if name not in _compiled and len(_compiled) == _KEPT:
        torch.compiler.reset()
        _compiled.clear()
    _compiled.add(name)
