"""Configurations of many options at once, each in its small form, and which options refuse each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import combinations
from typing import Any

from omegaconf import DictConfig, OmegaConf
from tiny import CONF, NEEDS, SMALL, SMALL_MODEL, TINY, config

from ablation.config import MANY

Option = tuple[str, str]
MOST = {"aug": 4, "regularizer": 4, "init": 2, "loss": 1, "sched": 1, "optim": 1}  # of a group in one trial

# Pairs that are no experiment, and why; each is refused before anything is trained.
TAUGHT = ("loss=distill", "loss=online_refine", "loss=refinery")
JOINS = ("shake_drop", "shake_shake", "skip_init", "stochastic_depth")
REFUSED: dict[frozenset[str], str] = {
    frozenset(one if "=" in one else f"regularizer={one}" for one in pair): why
    for pair, why in [
        *((pair, "both join the branches") for pair in combinations(JOINS, 2)),
        (("drop_block", "dropout"), "both drop at one place"),
        (("drop_block", "r_drop"), "r_drop is tried with dropout"),
        (("cotrain", "manifold_mixup"), "each of the models has rows of its own, whose partners are in the others"),
        (("init=zero_gamma", "skip_init"), "two zeros, of which each keeps the gradient from the other"),
        (("manifold_mixup", "rotation"), "images of different rotations would be mixed"),
        *(((loss, "manifold_mixup"), "answers for the images are not mixed as they are inside") for loss in TAUGHT),
        (("aug=dual_cutout", "manifold_mixup"), "the two of an image would be mixed with different partners"),
    ]
}


def refused(a: Option, b: Option) -> bool:
    return frozenset(("=".join(a), "=".join(b))) in REFUSED


@cache
def base() -> dict[str, Any]:
    return config(*TINY, *SMALL_MODEL)


@cache
def settings(option: Option) -> dict[str, Any]:
    """A tiny trial with this option, as Hydra composes it."""
    group, name = option
    needs = NEEDS.get(f"{group}={name}", ())
    if not needs and group != "loss":  # 100 times as fast as Hydra, and the same (tests/test_pairs.py)
        small = SMALL.get(name, ()) if group == "model" else ()
        return {**base(), **OmegaConf.to_container(OmegaConf.unsafe_merge({group: _node(group, name)}, _typed(small)))}
    chosen = needs if any(need.startswith(f"{group}=") for need in needs) else (f"{group}={name}", *needs)
    return config(*TINY, *SMALL_MODEL, *chosen)


def _node(group: str, name: str) -> DictConfig:
    """An option's file over those that it is made from."""
    read = OmegaConf.load(CONF / group / f"{name}.yaml")
    under = [parent for parent in read.pop("defaults", []) if parent != "_self_"]
    return OmegaConf.unsafe_merge(*(_node(group, parent) for parent in under), read)


def _typed(overrides: Sequence[str]) -> DictConfig:
    return OmegaConf.from_dotlist(list(overrides))


def together(chosen: Iterable[Option]) -> dict[str, Any]:
    """The tiny trial that has all of them, in this order."""
    whole = dict(base())
    for one in map(settings, chosen):
        for key in (k for k in one if one[k] != base()[k]):
            if key in MANY:
                whole[key] = {**whole[key], **one[key]}
            elif isinstance(one[key], Mapping) and one[key]["_target_"] == base()[key]["_target_"]:
                whole[key] = {**whole[key], **{k: v for k, v in one[key].items() if v != base()[key][k]}}
            else:
                whole[key] = one[key]
    return whole
