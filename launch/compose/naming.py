"""Names of arms: the full one, made of what was typed, and the short one, by which people know an arm among others.

Every view shows the short names, and so do MLflow and the lines of tables that have no label of their own.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache

import yaml

from ablation.config import GROUPS, MANY
from ablation.store.identity import Rules, surrounding
from launch.compose.overrides import settings
from launch.compose.paths import CONF

BASELINE = "baseline"  # what has no overrides of its own
_DIGITS = 6  # of an id, where names do not tell arms apart
_TOKEN = re.compile(
    r"""\\.|'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|[^][{}()'",\\]+|.""", re.DOTALL
)  # what is quoted is one
_FIRST = ("aug", "regularizer", "loss", "model", "init", "optim", "sched", "data")  # groups, as they are mostly varied
_LAST = ("data", "recipe", "epochs", "batch_size")  # what is mostly the same


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


def short_names(names: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """From full names by id: what all share, and the short names by id, from which that is left out.

    A narrow column shows some twenty characters, which have to tell the arms of a sweep apart.

    `aug.mixup.alpha=0.3,aug=mixup,epochs=10` among others of 10 epochs is "mixup alpha=0.3"; what is left without
    anything is "baseline". Arms of one name have the first digits of their ids beside it.
    """
    common, rest = common_and_distinct(names)
    own = {text: sorted(name_parts(text), key=_rank) if text != BASELINE else [] for text in rest.values()}
    keys = {_key(part) for each in own.values() for part in each}
    last = Counter(key.rpartition(".")[2] for key in keys)
    short = {text: " ".join(_shorten(part, last) for part in each) or BASELINE for text, each in own.items()}
    twice = {title for title, number in Counter(short.values()).items() if number > 1}
    titles = {id_: text if short[text] in twice else short[text] for id_, text in rest.items()}
    number = Counter(titles.values())
    return common, {id_: f"{title} {id_[:_DIGITS]}" if number[title] > 1 else title for id_, title in titles.items()}


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


def _shorten(part: str, last: Mapping[str, int]) -> str:
    """`aug=[cutout,mixup]` is cutout+mixup, `aug.mixup.alpha=0.3` is alpha=0.3 if no other key ends so.

    `~aug.mixup`, which takes it away, is "no mixup".
    """
    key, value = _key(part), part.partition("=")[2]
    end = key.rpartition(".")[2]
    short = end if last[end] == 1 else key
    if part.startswith("~"):
        return f"no {short}"
    return _shorten_option(key, value) if key in (*GROUPS, *MANY) else f"{short}={value}"


def _shorten_option(group: str, value: str) -> str:
    if value.startswith("[") and value.endswith("]"):
        options: Sequence[str] = [option for option in value[1:-1].split(",") if option]
        return "+".join(options) or f"no {group}"
    return value
