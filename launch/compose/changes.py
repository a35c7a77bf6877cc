"""Changes of a configuration in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ablation.store.identity import CONTENT, PATH, REVISED

_BY_PATH = "its images were known by their path only, are known by their content"
_BY_RULES = "its id was made by earlier rules; see CHANGELOG.md"  # the ids differ, and what is in them does not


def told(changes: Mapping[str, tuple[Any, Any]]) -> str:
    """In one line, of key -> (was, is): `sched.eta was 1e-05, is 0.0001`.

    Corrections come last: `it was made before revision 2 of loss.refinery; see CHANGELOG.md`.
    """
    if not changes:
        return _BY_RULES
    if CONTENT in changes and changes[CONTENT][0] is None:
        rest = {key: values for key, values in changes.items() if key not in (PATH, CONTENT)}
        return f"{_BY_PATH}, {told(rest)}" if rest else _BY_PATH
    keys = [f"{key} was {_value(a)}, is {_value(b)}" for key, (a, b) in changes.items() if not key.startswith(REVISED)]
    corrections = [(key.removeprefix(REVISED), *numbers) for key, numbers in changes.items() if key.startswith(REVISED)]
    before = [f"revision {b} of {option}" for option, a, b in corrections if a < b]
    after = [f"revision {a} of {option}, which is now {b}" for option, a, b in corrections if a > b]
    made = [f"it was made {how} {' and '.join(o)}" for how, o in (("before", before), ("under", after)) if o]
    return ", ".join(keys + made) + ("; see CHANGELOG.md" if made else "")


def _value(value: Any) -> str:
    return "not there" if value is None else str(value)
