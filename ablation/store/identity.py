"""What a run is: the hash of its resolved configuration, surroundings left out.

Asking for the same configuration again is a resume or a no-op. Rules keep old ids when the code grows: a key added
later at its neutral value, or an empty new group, changes nothing; a renamed key keeps its id by a rename rule. A
correction of what an option computes is the one thing that gives new ids to configurations that read the same: the
option's revision is then part of the id of those that use it, and of no other. All rules speak of the project's own
factories: an argument of a user's factory may be called the same and mean something else.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import islice, product
from typing import Any

# Where, how and how often a trial is run, but not what it is.
SURROUNDINGS = frozenset(
    {"seeds", "device", "compile", "fuse", "out", "sweep", "track", "checkpoint", "lease", "trace"}
)
_OF_DATA = frozenset(f"data.{key}" for key in ("root", "cache", "download", "in_memory"))
# Where images of one's own lie is a surrounding if it is known what they are. Of runs from before that was looked at,
# and of images that are not here, the path has to do.
PATH, CONTENT = "data.path", "data.content"
# Groups whose options are applied in the order given; everywhere else order means nothing.
ORDERED = frozenset({"init", "aug", "regularizer"})
REVISED = "revised."  # before the options, in canonical keys
_OURS = "ablation."  # before the names of the project's factories
_DIGITS = 16  # 64 bits
_TRIED = 10_000  # sets of earlier revisions
_LEAVES = (str, int, float, list, type(None))


@dataclass(frozen=True)
class Rules:
    """How configurations written before the code grew are read today."""

    neutral: Mapping[str, Any] = field(default_factory=dict)  # dotted key -> the value at which it changes nothing
    # New dotted key, or its beginning -> the old one; likewise for a `_target_`, when a factory moves.
    renamed: Mapping[str, str] = field(default_factory=dict)
    # Option, or several joined by "+" that have to be chosen together -> the revision of what they compute.
    revised: Mapping[str, int] = field(default_factory=dict)


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings to dotted keys; lists and scalars are leaves, empty mappings vanish."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        path = f"{prefix}{key}"
        if isinstance(value, _LEAVES) or not isinstance(value, Mapping):  # asking for the first is five times as fast
            flat[path] = value
        else:
            flat |= flatten(value, f"{path}.")
    return flat


def _scalar(value: Any, key: str) -> Any:
    """One spelling for equal values: 1.0 is 1, -0.0 is 0, tuples are lists.

    Raises:
        ValueError: a value that is not a number, text, truth value, null, or list or mapping of these; or not finite.
    """
    if isinstance(value, bool | str) or value is None:
        return value
    if isinstance(value, int | float) and math.isfinite(value):
        return int(value) if value == int(value) else value
    if isinstance(value, list | tuple):
        return [_scalar(v, key) for v in value]
    if isinstance(value, Mapping):
        return {str(k): _scalar(v, key) for k, v in value.items()}
    raise ValueError(f"{key}={value!r}: cannot be part of a configuration's identity")


def theirs(config: Mapping[str, Any]) -> tuple[str, ...]:
    """How the keys begin of options that are made by a user's own factory: `loss.`, `aug.mine.`."""
    return _theirs(flatten(config))


def _theirs(leaves: Mapping[str, Any]) -> tuple[str, ...]:
    targets = {k: str(v) for k, v in leaves.items() if k.endswith("._target_")}
    return tuple(key.removesuffix("_target_") for key, target in targets.items() if not target.startswith(_OURS))


@lru_cache(maxsize=4096)
def surrounding(key: str, users: tuple[str, ...]) -> bool:
    """Whether a dotted key says where, how or how often a trial is run; `users` are the beginnings of `theirs`."""
    return key.split(".")[0] in SURROUNDINGS or (key in _OF_DATA and not key.startswith(users))


def _rename(key: str, renamed: Mapping[str, str]) -> str:
    if not renamed:
        return key
    parts = key.split(".")
    for n in range(len(parts), 0, -1):
        old = renamed.get(".".join(parts[:n]))
        if old is not None:
            return ".".join([old, *parts[n:]])
    return key


def revisions(config: Mapping[str, Any], rules: Rules) -> dict[str, int]:
    """The corrected options that a configuration uses, with their revision.

    An option is known by its factory, so that it may be called anything: `loss.refinery` is `ablation.loss.refinery`.
    """
    return _used_revisions(flatten(config), rules)


def _used_revisions(leaves: Mapping[str, Any], rules: Rules) -> dict[str, int]:
    factories = [str(v).rpartition(".")[0] for k, v in leaves.items() if k.endswith("_target_")]
    used = {name.removeprefix(_OURS) for name in factories if name.startswith(_OURS)}
    return {options: number for options, number in rules.revised.items() if used.issuperset(options.split("+"))}


def canonical(config: Mapping[str, Any], rules: Rules | None = None) -> dict[str, Any]:
    """The configuration as sorted dotted keys, one spelling for each value: what is hashed and what is compared."""
    rules, leaves = rules or Rules(), flatten(config)
    users = _theirs(leaves)
    flat = {key: _scalar(value, key) for key, value in leaves.items() if not surrounding(key, users)}
    if flat.get(CONTENT) is not None:
        flat.pop(PATH, None)
    neutral = {key: _scalar(value, key) for key, value in rules.neutral.items()}

    def renamed(key: str) -> str:
        return key if f"{key}.".startswith(users) else _rename(key, rules.renamed)

    kept = {renamed(k): v for k, v in flat.items() if k.startswith(users) or k not in neutral or neutral[k] != v}
    targets = {k: v for k, v in kept.items() if k.endswith("_target_") and not k.startswith(users)}
    kept |= {k: _rename(v, rules.renamed) for k, v in targets.items()}
    for group in ORDERED:
        if len(config.get(group) or ()) > 1:
            kept[group] = [renamed(f"{group}.{name}").partition(".")[2] for name in config[group]]
    return _revised(kept, _used_revisions(leaves, rules))


def _revised(keys: Mapping[str, Any], numbers: Mapping[str, int]) -> dict[str, Any]:
    """With the revisions among the keys; the first is that of everything that was never corrected, and is left out."""
    return dict(sorted([*keys.items(), *((f"{REVISED}{o}", number) for o, number in numbers.items() if number > 1)]))


def identify(config: Mapping[str, Any], rules: Rules | None = None) -> str:
    """The id: 64 bits of SHA-256 in hex."""
    return _hashed(canonical(config, rules))


def _hashed(keys: Mapping[str, Any]) -> str:
    text = json.dumps(keys, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def made_under(id_: str, config: Mapping[str, Any], rules: Rules) -> dict[str, int]:
    """The revisions under which a run was made, of the options that it uses and that were ever corrected; the first: 1.

    A stored configuration does not hold them, but the run's id does: they are those that give it. If none do, because
    the configuration was edited or the rules are others, they are today's.
    """
    today = revisions(config, rules)
    keys = canonical(config, replace(rules, revised={}))
    ways = product(*([number, *range(1, number)] for number in today.values()))
    tried = (dict(zip(today, numbers, strict=True)) for numbers in islice(ways, _TRIED))
    return next((numbers for numbers in tried if _hashed(_revised(keys, numbers)) == id_), today)


def difference(
    old: Mapping[str, Any], new: Mapping[str, Any], rules: Rules | None = None, ids: tuple[str, str] | None = None
) -> dict[str, tuple[Any, Any]]:
    """Canonical keys whose values differ, with both values; None where a side lacks the key.

    With the `ids` of both also the revisions of options that both use, as `revised.<option>`: what is the same to read
    may have been made before a correction and after it.
    """
    rules = rules or Rules()
    a, b = (canonical(config, replace(rules, revised={})) for config in (old, new))
    changed = {k: (a.get(k), b.get(k)) for k in sorted({*a, *b}) if a.get(k) != b.get(k)}
    if ids is not None:
        was, now = made_under(ids[0], old, rules), made_under(ids[1], new, rules)
        both = sorted(option for option in was.keys() & now.keys() if was[option] != now[option])
        changed |= {f"{REVISED}{option}": (was[option], now[option]) for option in both}
    return changed
