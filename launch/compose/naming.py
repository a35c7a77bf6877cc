"""Names of arms: the full one, made of what was typed, and the short one, by which people know an arm among others.

Every view shows the short names, and so do MLflow and the lines of tables that have no label of their own; what is to
be typed again is a command. In lists of many the first ones are named, and what is said of several is said once.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from typing import NamedTuple, TypeVar

import yaml

from ablation.config import GROUPS, MANY
from ablation.store.identity import Rules, surrounding
from launch.compose.overrides import settings
from launch.compose.paths import CONF

Named = TypeVar("Named")  # a name, or the folder of what has it

BASELINE = "baseline"  # what has no overrides of its own
_DIGITS = 6  # of an id, where names do not tell arms apart
_TOKEN = re.compile(
    r"""\\.|'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|[^][{}()'",\\]+|.""", re.DOTALL
)  # what is quoted is one
_ARGUMENT = re.compile(r"^ *(\w+):", re.MULTILINE)  # of an option, in its YAML
_FIRST = ("aug", "regularizer", "loss", "model", "init", "optim", "sched", "data")  # groups, as they are mostly varied
_LAST = ("data", "recipe", "epochs", "batch_size")  # what is mostly the same


class ArmNames(NamedTuple):
    """What people call arms beside each other."""

    common: str  # what all have in common, and their names leave out
    short: dict[str, str]  # by id

    def heading(self, text: str) -> str:
        """The line above a list of them, with what their names leave out."""
        return f"{text}, all with {self.common}" if self.common else text


@cache
def rules() -> Rules:
    """The rules of `conf/identity.yaml`."""
    return Rules(**yaml.safe_load((CONF / "identity.yaml").read_text()))


def full_name(overrides: Sequence[str], users: tuple[str, ...] = ()) -> str:
    """The name of the arm that these overrides give: all in one order, without where and how often it is run.

    `users` are the beginnings of `identity.theirs`, the arguments of a user's own factories.
    """
    neutral = {(k, json.dumps(v)) for k, v in rules().neutral.items()}
    kept = settings(overrides)
    if "recipe" not in kept:  # which may set such a key to something else
        kept = {k: v for k, v in kept.items() if k.startswith(users) or (k, v) not in neutral}
    kept = {k: v for k, v in kept.items() if not surrounding(k.lstrip("~"), users)}
    return ",".join(sorted(k if k.startswith("~") else f"{k}={v}" for k, v in kept.items())) or BASELINE


def few(names: Sequence[str], most: int = 3) -> str:
    """The first ones, and how many there are more: `mixup, cutout, sam and 4 more`."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def grouped(said: Iterable[tuple[Named, str]]) -> dict[str, list[Named]]:
    """From names, each with what is said of it: by what is said, all of which it is said."""
    names: dict[str, list[Named]] = {}
    for name, text in said:
        names.setdefault(text, []).append(name)
    return names


def short_names(names: Mapping[str, str]) -> ArmNames:
    """From full names by id: what all share, and the short names by id, from which that is left out.

    A narrow column shows some twenty characters, which have to tell the arms of a sweep apart.

    `aug.mixup.alpha=0.3,aug=mixup,epochs=10` among others of 10 epochs is "mixup alpha=0.3"; what is left without
    anything is "baseline". Arms of one name have the first digits of their ids beside it.
    """
    common, rest = common_and_distinct(names)
    own = {text: sorted(name_parts(text), key=_rank) if text != BASELINE else [] for text in rest.values()}
    every = {part for name in names.values() for part in name_parts(name)}
    owners = _owners(every)
    short = {text: " ".join(_shorten(part, each, owners) for part in each) or BASELINE for text, each in own.items()}
    twice = {title for title, number in Counter(short.values()).items() if number > 1}
    titles = {id_: text if short[text] in twice else short[text] for id_, text in rest.items()}
    number = Counter(titles.values())
    return ArmNames(
        common, {id_: f"{title} {id_[:_DIGITS]}" if number[title] > 1 else title for id_, title in titles.items()}
    )


def common_and_distinct(names: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """From full names by id: what all have in common, and what sets each apart by id ("baseline" if nothing does)."""
    own = {id_: name_parts(name) for id_, name in names.items()}
    shared = set.intersection(*map(set, own.values())) if len(own) > 1 else set()
    common = next(iter(own.values())) if own else []
    rest = {id_: ",".join(p for p in each if p not in shared) or BASELINE for id_, each in own.items()}
    return ",".join(p for p in common if p in shared), rest


def name_parts(name: str) -> list[str]:
    """The overrides that a name is made of."""
    parts, depth = [""], 0
    for token in _TOKEN.findall(name):
        depth += (token in "[{(") - (token in "]})")
        if token == "," and depth <= 0:
            parts.append("")
        else:
            parts[-1] += token
    return parts


def _key(part: str) -> str:
    return part.lstrip("~").partition("=")[0]


def _rank(part: str) -> tuple[bool, int, bool, str]:
    """Choices before their arguments, group by group; budgets come last."""
    key = _key(part)
    head = key.partition(".")[0]
    place = (_LAST if head in _LAST else _FIRST).index(head) if head in (*_FIRST, *_LAST) else len(_FIRST)
    return head in _LAST, place, "." in key, part


def _owners(parts: Iterable[str]) -> Mapping[str, set[str]]:
    """By an argument's last word, what has one of that name among all that these parts choose or set."""
    owners: dict[str, set[str]] = {}
    for part in parts:
        key, value = _key(part), part.partition("=")[2]
        chosen = _options(value) if key in (*GROUPS, *MANY) else []
        found = [
            (f"{key}.{option}" if key in MANY else key, end) for option in chosen for end in _arguments(key, option)
        ]
        for owner, end in found or [key.rpartition(".")[::2]]:
            owners.setdefault(end, set()).add(owner)
    return owners


@cache
def _arguments(group: str, option: str) -> frozenset[str]:
    """What can be set of an option of ours; of a user's own nothing is known here."""
    with suppress(OSError, ValueError):
        return frozenset(_ARGUMENT.findall((CONF / group / f"{option}.yaml").read_text()))
    return frozenset()


def _shorten(part: str, own: Sequence[str], owners: Mapping[str, set[str]]) -> str:
    """`aug=[cutout,mixup]` is cutout+mixup, and `~aug.mixup`, which takes it away, is "no mixup".

    `aug.mixup.alpha=0.3` is alpha=0.3 after mixup alone, of which it must be, and else mixup.alpha=0.3. `optim.lr=0.1`
    is lr=0.1 if nothing else that the names have could be meant.
    """
    key, value = _key(part), part.partition("=")[2]
    if key in (*GROUPS, *MANY) and not part.startswith("~"):
        return _shorten_option(key, value)
    owner, _, end = key.rpartition(".")
    group, _, inner = key.partition(".")
    if owner in map(_choice, own) or (group not in MANY and owners[end] == {owner}):
        short = end
    else:
        short = inner if group in MANY and inner else key
    return f"no {short}" if part.startswith("~") else f"{short}={value}"


def _choice(part: str) -> str:
    """What the arguments of the one option begin with that a part chooses; empty if it chooses none, or several."""
    key, options = _key(part), _options(part.partition("=")[2])
    if key not in (*GROUPS, *MANY) or part.startswith("~") or len(options) != 1:
        return ""
    return f"{key}.{options[0]}" if key in MANY else key


def _shorten_option(group: str, value: str) -> str:
    return value if not value.startswith("[") else "+".join(_options(value)) or f"no {group}"


def _options(value: str) -> list[str]:
    """The options of a choice, `mixup` or `[cutout,mixup]`."""
    return [option for option in value.removeprefix("[").removesuffix("]").split(",") if option]
